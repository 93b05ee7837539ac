package platform

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/plan"
)

// seats give every process a user of its own when `up` is root: a program, its migration, its
// sidecar and Consul cannot look into each other, nor into the state folder. What a process needs
// of root's files lies as a copy in a folder of its own, which it reaches by an open directory that
// it is started with, so that the way to the folder can be closed to it.
//
//	<state>/.gatehouse-run/  root only
//	  programs/              what others cannot execute where it is
//	  <process>/             root's, readable by the process
//
// The zero value is that of an ordinary user: everything runs as that user, and files are used
// where they are.
type seats struct {
	run   string // <state>/.gatehouse-run
	users map[string]int

	mu     sync.Mutex
	copies []*handedOver
}

// assign chooses the users and makes the folders, in place of what a killed `up` left.
func (s *seats) assign(dir state.Dir, offset int, processes []string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := dir.RemoveRun(); err != nil {
		return err
	}
	run := dir.Run()
	ids, err := host.ChooseAccounts(offset, len(processes))
	if err != nil {
		return err
	}
	s.run, s.users = run, map[string]int{}
	err = makeFolder(run, 0o700, 0)
	if err == nil {
		err = makeFolder(filepath.Join(run, "programs"), 0o755, 0)
	}
	for i, process := range processes {
		if err == nil {
			err = makeFolder(filepath.Join(run, process), 0o750, ids[i])
		}
		s.users[process] = ids[i]
	}
	if err != nil {
		return fmt.Errorf("give each process a user of its own: %w: run gatehouse as an ordinary user where root may not do that", err)
	}
	return nil
}

// makeFolder makes a folder of root's that a group may use, whatever the umask is.
func makeFolder(path string, mode fs.FileMode, group int) error {
	if err := os.Mkdir(path, mode); err != nil {
		return err
	}
	if err := os.Chown(path, 0, group); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// remove takes the folders away.
func (s *seats) remove() {
	if s.users != nil {
		_ = os.RemoveAll(s.run) // the next `up` would do it, too
	}
}

// seated are the processes that get a user of their own; PostgreSQL has one with a name.
func (p *Platform) seated() []string {
	all := []string{state.ConsulProcess}
	for _, verb := range []string{plan.Migrate, plan.Keep, plan.Serve} {
		for _, one := range p.processes(verb) {
			all = append(all, one.id())
		}
	}
	for _, u := range p.units() {
		all = append(all, state.SidecarOf(u.id))
	}
	return all
}

// take lets a command run as the process's own user. Its folder becomes the first of its open
// files; more are added by inherit.
func (s *seats) take(cmd *exec.Cmd, process string) error {
	id, ok := s.users[process]
	if !ok {
		return nil
	}
	folder, err := openFolder(filepath.Join(s.run, process))
	if err != nil {
		return err
	}
	inherit(cmd, folder)                                                                                      // as ownFolder
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}} //nolint:gosec // an id of the user database
	cmd.Dir = "/"
	for i, pair := range cmd.Env {
		switch name, _, _ := strings.Cut(pair, "="); name {
		case "HOME":
			cmd.Env[i] = "HOME=/"
		case "TMPDIR":
			cmd.Env[i] = "TMPDIR=/tmp"
		}
	}
	return s.reach(cmd)
}

// reach makes the program of a command one that everybody can execute. It keeps its name, which
// `ps` shows.
func (s *seats) reach(cmd *exec.Cmd) error {
	if everybodyExecutes(cmd.Path) {
		return nil
	}
	folder := filepath.Join(s.run, "programs")
	name := filepath.Base(cmd.Path)
	if err := s.place(cmd.Path, filepath.Join(folder, name)); err != nil {
		return fmt.Errorf("make %s a program that its user can execute: %w", cmd.Path, err)
	}
	open, err := openFolder(folder)
	if err != nil {
		return err
	}
	cmd.Path = filepath.Join(inherit(cmd, open), name)
	return nil
}

// place links or copies a program.
func (s *seats) place(from, to string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	source, err := os.Stat(from)
	if err != nil {
		return err
	}
	if have, err := os.Stat(to); err == nil && (os.SameFile(source, have) || have.ModTime().Equal(source.ModTime())) {
		return nil
	}
	fresh := to + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if source.Mode().Perm()&0o005 != 0o005 || os.Link(from, fresh) != nil {
		if err := copyProgram(from, fresh, source); err != nil {
			return err
		}
	}
	return os.Rename(fresh, to)
}

func copyProgram(from, to string, source fs.FileInfo) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755) //nolint:gosec // a program
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(0o755), out.Close(), os.Chtimes(to, source.ModTime(), source.ModTime()))
}

// everybodyExecutes reports whether any user can execute a program at its path.
func everybodyExecutes(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	for {
		info, err := os.Stat(real)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if real == filepath.Dir(real) {
			return true
		}
		real = filepath.Dir(real)
	}
}

// own gives a folder with all that is in it to the process's user, and returns the path at which
// the command will find it.
func (s *seats) own(cmd *exec.Cmd, process, folder string) (string, error) {
	id, ok := s.users[process]
	if !ok {
		return folder, nil
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return "", fmt.Errorf("give %s to its user: %w", folder, err)
	}
	defer func() { _ = root.Close() }()
	err = fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return give(root, path, id)
	})
	if err != nil {
		return "", fmt.Errorf("give %s to its user: %w", folder, err)
	}
	open, err := openFolder(folder)
	if err != nil {
		return "", err
	}
	return inherit(cmd, open), nil
}

// give gives one file or folder to a user: the one that was looked at, whatever has its name by
// then.
func give(root *os.Root, path string, id int) error {
	file, err := root.OpenFile(path, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || !info.IsDir() && stat.Nlink > 1:
		return fmt.Errorf("%s has another name elsewhere: remove it", path)
	case int(stat.Uid) == id && int(stat.Gid) == id:
		return nil
	}
	if err := unix.Fchownat(int(file.Fd()), "", id, id, unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("give %s away: %w", path, err)
	}
	return nil
}

// inherit adds an open file to those that a command is started with, and returns the path at which
// the command finds it.
func inherit(cmd *exec.Cmd, file *os.File) string {
	cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	return fmt.Sprintf("/dev/fd/%d", 2+len(cmd.ExtraFiles))
}

// openFolder opens a folder as a place to begin a path at.
func openFolder(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// discard closes what a command that is not started would have inherited.
func discard(cmd *exec.Cmd) {
	for _, file := range cmd.ExtraFiles {
		_ = file.Close()
	}
}
