package pgserver

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// freeDataDir removes the postmaster.pid of a server that is gone when its pid belongs to another
// process by now: PostgreSQL would take that process, if it is of the same user, for the server,
// and refuse to start for as long as it lives. In a container, where pids are few, that is likely.
// A pid that nobody has PostgreSQL judges by itself.
func (s *Server) freeDataDir() error {
	path := filepath.Join(s.DataDir, "postmaster.pid")
	content, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a server on the same data: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return nil //nolint:nilerr // PostgreSQL says what is wrong with its file
	}
	if running := Processes(s.DataDir); len(running) > 0 {
		return fmt.Errorf("PostgreSQL runs on %s already (process %d): end it with `kill -INT %d` and start again", s.DataDir, running[0], running[0])
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove what a server that is gone has left: %w", err)
	}
	return nil
}

// readFile reads a small file of the data folder. That belongs to the server's user, who could have
// us, as root, follow a link to another's file or wait for ever at a pipe.
func readFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not an ordinary file: remove it", path)
	}
	return io.ReadAll(io.LimitReader(file, 1<<16))
}

// Processes returns the pids of a server's processes that work on a data folder, as far as this
// user may know: every one of them has it for its working folder, also those that outlive a killed
// postmaster.
func Processes(dataDir string) []int {
	dir, err := filepath.EvalSymlinks(dataDir)
	if err != nil {
		return nil
	}
	entries, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well formed
	var pids []int
	for _, entry := range entries {
		cwd, err := os.Readlink(filepath.Join(entry, "cwd"))
		if err != nil || cwd != dir {
			continue
		}
		name, err := os.ReadFile(filepath.Join(entry, "comm"))
		if pid, atoiErr := strconv.Atoi(filepath.Base(entry)); err == nil && atoiErr == nil && strings.HasPrefix(string(name), "postgres") {
			pids = append(pids, pid)
		}
	}
	return pids
}
