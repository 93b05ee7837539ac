package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

// initialize makes a cluster in a folder of its own, in place of what a killed one left.
func (s *Server) initialize(ctx context.Context, account *Account, dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove an unfinished data folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // the server's user passes through it
		return fmt.Errorf("make the folder of the data folder: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if err := account.own(dir); err != nil {
		return err
	}
	password, err := s.passwordFile(account)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(password) }()
	args := []string{
		"--pgdata=" + dir, "--username=" + Superuser, "--pwfile=" + password, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--data-checksums",
	}
	if s.Settings["fsync"] == "off" {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.BinDir, "initdb"), args...) // found by us
	cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, environment(), account.attributes()
	if out, err := untilWeDie(cmd); err != nil {
		return fmt.Errorf("make a PostgreSQL cluster: %w: %s", err, lastLine(string(out)))
	}
	return nil
}

// untilWeDie runs a command to its end, which comes with ours at the latest: the next Init must not meet it. The kernel sends the signal
// when the thread ends that started the command, so the thread is kept.
func untilWeDie(cmd *exec.Cmd) (output []byte, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // its server reads from it, and ends at the end of that
	return cmd.CombinedOutput()
}

// passwordFile writes the superuser's password where only initdb can read it. The name is always the same, so that the file of an Init
// that was killed goes with the next.
func (s *Server) passwordFile(account *Account) (path string, err error) {
	const action = "write the superuser's password for initdb: %w"
	if s.Password.IsZero() {
		return "", errors.New("make a PostgreSQL cluster: the superuser needs a password")
	}
	path = s.DataDir + ".password"
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf(action, err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf(action, err)
	}
	_, err = file.WriteString(s.Password.Reveal() + "\n")
	if err = errors.Join(err, file.Close(), account.own(path)); err != nil {
		_ = os.Remove(path)
		return "", fmt.Errorf(action, err)
	}
	return path, nil
}
