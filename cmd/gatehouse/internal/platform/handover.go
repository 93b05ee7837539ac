package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ownFolder is where a process that has a user of its own finds its folder: its first open file
// beside the standard ones.
const ownFolder = "/dev/fd/3"

// mostBytes bounds a file that is handed over: keys and certificates are small.
const mostBytes = 1 << 20

// renewEvery is how often it is looked whether a file that was handed over has changed.
const renewEvery = time.Second

// handedOver is a file of root's and its copy in the folder of a process.
type handedOver struct {
	source, target string
	id             int
	seen           fs.FileInfo // of the source when it was copied
}

// hand copies a file of root's into the folder of a process, under a name, and returns the path at
// which the process finds it. The copy belongs to the process, in a folder that does not, and has
// the mode of the original, which some programs judge.
func (s *seats) hand(process, name, source string) (string, error) {
	id, ok := s.users[process]
	if !ok {
		return source, nil
	}
	copied := &handedOver{source: source, target: filepath.Join(s.run, process, name), id: id}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := copied.renew(); err != nil {
		return "", fmt.Errorf("hand %s over to %s: %w", source, process, err)
	}
	kept := s.copies[:0]
	for _, other := range s.copies {
		if other.target != copied.target {
			kept = append(kept, other)
		}
	}
	s.copies = append(kept, copied)
	return filepath.Join(ownFolder, name), nil
}

// handVariables hands over the files that variables of a command name. One of the operator's that
// cannot be read is left to the program, which says so with the name of the variable.
func (s *seats) handVariables(cmd *exec.Cmd, process, relativeTo string, operators []string) error {
	for i, pair := range cmd.Env {
		name, path, _ := strings.Cut(pair, "=")
		if !strings.HasSuffix(name, "_FILE") || path == "" {
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(relativeTo, path)
		}
		handed, err := s.hand(process, name, path)
		if errors.As(err, new(unreadableError)) && slices.Contains(operators, pair) {
			continue
		}
		if err != nil {
			return err
		}
		cmd.Env[i] = name + "=" + handed
	}
	return nil
}

// unreadableError says that a file which is to be handed over cannot be read.
type unreadableError struct{ error }

func (e unreadableError) Unwrap() error { return e.error }

// keepFresh copies again what has changed, so that a renewed certificate reaches the program that
// serves it, until the context ends.
func (s *seats) keepFresh(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.refresh()
		}
	}
}

func (s *seats) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, copied := range s.copies {
		if info, err := os.Stat(copied.source); err == nil && !sameVersion(info, copied.seen) {
			_ = copied.renew() // half of a renewal: the copy from before stays, and the next look tries again
		}
	}
}

// renew makes the copy anew, whole or not at all.
func (h *handedOver) renew() error {
	info, err := os.Stat(h.source)
	if err != nil {
		return unreadableError{err}
	}
	if !info.Mode().IsRegular() || info.Size() > mostBytes {
		return errors.New("it is not a regular file, or too large")
	}
	in, err := os.Open(h.source)
	if err != nil {
		return unreadableError{err}
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(filepath.Dir(h.target), ".new-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, mostBytes))
	err = errors.Join(err, out.Chown(h.id, h.id), out.Chmod(info.Mode().Perm()|0o400), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), h.target)
	}
	if err != nil {
		_ = os.Remove(out.Name())
		return err
	}
	h.seen = info
	return nil
}

// sameVersion also tells a file from another that was moved, or linked, into its place.
func sameVersion(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// memory is an open file with a content that exists in memory only and that nobody but the
// process's user can open again.
func (s *seats) memory(process string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(process, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), process)
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o400))
	if id, ok := s.users[process]; ok {
		err = errors.Join(err, f.Chown(id, id))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("fill a file in memory: %w", err), f.Close())
	}
	return f, nil
}
