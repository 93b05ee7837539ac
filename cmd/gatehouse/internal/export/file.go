package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// File is a file as a receiver. A batch is delivered when it is on the disk.
type File struct {
	file  *os.File
	state *State
}

// OpenFile opens the file of an export. Where an earlier run was killed while it wrote, the file
// ends with what the state knows of; a fresh one begins with the header, and replaces nothing. The
// state knows of the file before it is there, so that a run that is killed at once can go on too.
func OpenFile(path string, header []byte, state *State, fresh bool) (*File, error) {
	if fresh {
		if _, err := os.Lstat(path); err == nil {
			return nil, taken(path)
		}
		state.Unmade = true
		if err := state.Save(); err != nil {
			return nil, err
		}
	}
	flags := os.O_WRONLY
	if state.Unmade {
		flags |= os.O_CREATE | os.O_EXCL
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrExist) && !fresh && begun(path, header) {
		file, err = os.OpenFile(path, os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	}
	if err != nil && fresh {
		state.forget() // there is no export yet: another file may be named
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, taken(path)
	case err != nil:
		return nil, fmt.Errorf("the events cannot be written: %w", err)
	}
	f := &File{file: file, state: state}
	if err := f.begin(header); err != nil {
		_ = file.Close()
		return nil, err
	}
	state.Unmade = false
	return f, nil
}

func taken(path string) error {
	return fmt.Errorf("%s exists: name a new file, or go on with an export by --resume", path)
}

// begun reports whether a file has what a run may have written that was killed before it said so.
func begun(path string, header []byte) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > int64(len(header)) {
		return false
	}
	text, err := os.ReadFile(path)
	return err == nil && bytes.HasPrefix(header, text)
}

func (f *File) begin(header []byte) error {
	info, err := f.file.Stat()
	if err != nil {
		return fmt.Errorf("look at the file of the export: %w", err)
	}
	if info.Size() < f.state.Bytes {
		return fmt.Errorf("%s is shorter than an earlier run left it: name another file for both -o and --resume", f.file.Name())
	}
	if err := f.file.Truncate(f.state.Bytes); err != nil {
		return fmt.Errorf("cut what an earlier run left half written: %w", err)
	}
	if _, err := f.file.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("go on at the end of the file: %w", err)
	}
	if f.state.Bytes > 0 || len(header) == 0 {
		return nil
	}
	return f.write(header)
}

// Deliver writes the batch.
func (f *File) Deliver(_ context.Context, b Batch) error { return f.write(bytes.Join(b.Lines, nil)) }

func (f *File) write(text []byte) error {
	n, err := f.file.Write(text)
	if err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		return Final(fmt.Errorf("write %s: %w", f.file.Name(), err))
	}
	f.state.Bytes += int64(n)
	return nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// Pipe is standard output as a receiver: a batch is delivered when it is written.
type Pipe struct{ To io.Writer }

// Deliver writes the batch.
func (p Pipe) Deliver(_ context.Context, b Batch) error {
	if _, err := p.To.Write(bytes.Join(b.Lines, nil)); err != nil {
		return Final(fmt.Errorf("write the events: %w", err))
	}
	return nil
}
