package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gatehouse/gatehouse/internal/supervise"
)

// beginFD is where the first process hears that it may begin.
const beginFD = 3

// First is the life of a host's first process: it makes the host its own, starts the command line,
// which must lead to Agents, and waits for every orphan until that has ended.
func First(ctx context.Context, spec Spec, command []string) error {
	begin := os.NewFile(beginFD, "begin")
	if err := mount(spec.Private); err != nil {
		return err
	}
	if n, _ := begin.Read(make([]byte, 1)); n == 0 {
		return errors.New("nobody is there any more who would use this host")
	}
	_ = begin.Close()
	if err := Configure(ctx, nil, spec.Network...); err != nil {
		return err
	}
	agents, err := os.StartProcess(command[0], command, &os.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []*os.File{nil, os.Stdout, os.Stderr},
	})
	if err != nil {
		return fmt.Errorf("start the agents: %w", err)
	}
	status, err := supervise.ReapUntil(agents.Pid)
	if err != nil {
		return err
	}
	return fmt.Errorf("the agents' supervisor has ended (%d)", status)
}

// mount cuts the host's mounts off from the machine's and gives it what is its own.
func mount(private []string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cut off the mounts of the host: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("show the host its processes: %w", err)
	}
	for _, folder := range private {
		if err := unix.Mount("tmpfs", folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("give the host its own %s: %w", folder, err)
		}
	}
	return nil
}

// Configure runs lines of `ip -batch` in this process's network namespace, or in that of another
// process, and stops at the first that is refused.
func Configure(ctx context.Context, in *int, lines ...string) error {
	args := []string{"ip", "-batch", "-"}
	if in != nil {
		args = append([]string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", *in)}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	var problem bytes.Buffer
	cmd.Stderr = &problem
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("set up the network of the cluster: %w: %s", err, strings.Join(strings.Fields(problem.String()), " "))
	}
	return nil
}

// MakeFolders makes those of the folders that the machine lacks, with what is above them, and hands
// each to made first, from the outermost: mounts need a place.
func MakeFolders(folders []string, made func(string) error) error {
	for _, folder := range folders {
		var missing []string
		for path := folder; ; path = filepath.Dir(path) {
			if _, err := os.Stat(path); err == nil {
				break
			}
			missing = append([]string{path}, missing...)
		}
		for _, path := range missing {
			if err := made(path); err != nil {
				return err
			}
			if err := os.Mkdir(path, 0o755); err != nil { //nolint:gosec // as the system has them
				return fmt.Errorf("make a place for what each host has of its own: %w", err)
			}
		}
	}
	return nil
}
