// Package host makes hosts of namespaces: each is a process that is the first one of PID, mount and
// network namespaces of its own, as that of a container is, with the agents of the host below it.
// Ending that process ends everything on the host at once and takes away its links, mounts, sockets
// and firewall rules, as pulling the plug does; what is in its folders on the disk stays.
//
// Package cluster starts them; the command starts itself as their first process. Linux, as root.
package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/gatehouse/gatehouse/internal/supervise"
)

// Spec says what a host is and runs. It is handed over as a file and holds no secret, and neither do
// command lines and environments in it: what a process keeps to itself it reads from files.
type Spec struct {
	Name      string    `json:"name"`
	Private   []string  `json:"private"`   // folders of which the host has its own, empty ones, in memory
	Network   []string  `json:"network"`   // lines for `ip -batch`, before anything runs
	Processes []Process `json:"processes"` // started in this order
	Logs      string    `json:"logs"`      // folder; a file for each process
}

// Process is one that runs on the host and is started again when it ends.
type Process struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`
	Environ []string `json:"environ"`
	Ready   []string `json:"ready,omitempty"` // a command that succeeds once the next process may start
}

// LogFile is the file that the output of one process of the host goes to.
func (s Spec) LogFile(process string) string {
	return filepath.Join(s.Logs, s.Name+"-"+process+".log")
}

// Write stores the spec.
func (s Spec) Write(path string) error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("describe the host %s: %w", s.Name, err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return fmt.Errorf("describe the host %s: %w", s.Name, err)
	}
	return nil
}

// Read reads the spec of a file.
func Read(path string) (Spec, error) {
	var s Spec
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read what host this is: %w", err)
	}
	return s, nil
}

// Waiting is a host whose namespaces are there and in which nothing runs yet.
type Waiting struct {
	supervise.Identity // of its first process

	begin *os.File
}

// Start makes the host of the spec's file. Its first process is the command line, which must lead to
// First. It waits for Begin and is gone when this process ends before.
func Start(command []string, log string) (*Waiting, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer func() { _ = read.Close() }()
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the log of a host: %w", err), write.Close())
	}
	defer func() { _ = output.Close() }()
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // it outlives this process
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{read}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(namespacesRefused(err), write.Close())
	}
	identity, err := supervise.Identify(cmd.Process.Pid)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	go func() { _ = cmd.Wait() }() // or it stays as a zombie for as long as we run
	return &Waiting{Identity: identity, begin: write}, nil
}

// Begin lets the host run.
func (w *Waiting) Begin() error {
	_, err := w.begin.Write([]byte{'\n'})
	if err = errors.Join(err, w.begin.Close()); err != nil {
		return fmt.Errorf("tell the host to begin: %w", err)
	}
	return nil
}

// Abandon ends the host before it has begun.
func (w *Waiting) Abandon() { _ = w.begin.Close() }

func namespacesRefused(err error) error {
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("the kernel gives this process no namespaces (%w): run this as root, outside of a container or in a privileged one", err)
	}
	return fmt.Errorf("make a host of namespaces: %w", err)
}
