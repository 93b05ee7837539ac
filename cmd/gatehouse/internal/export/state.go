package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/owned"
)

// State is how far an export is. It is kept in a file of its own, which is always whole: what is
// saved replaces it when it is on the disk.
type State struct {
	ID     string    `json:"id"` // of the export, random
	Of     Of        `json:"of"`
	Cursor string    `json:"cursor"`           // after what is delivered
	Events int64     `json:"events"`           // that are delivered
	Last   string    `json:"last"`             // id of the last of them
	Time   time.Time `json:"time"`             // of the last of them
	Bytes  int64     `json:"bytes"`            // of the file that is written
	Unmade bool      `json:"unmade,omitempty"` // whether that file may not be there yet, or have a part of its header alone
	Since  time.Time `json:"since,omitzero"`   // of the events that the first run was asked for
	Until  time.Time `json:"until,omitzero"`

	path string // "" is kept nowhere
}

// Of says which export it is. Another one may not go on where it is.
type Of struct {
	Target string `json:"target"`
	Format string `json:"format"`
	Query  string `json:"query"`
}

// OpenState opens the state of an export; fresh is one that was never saved. The file is locked
// until close is called, or the process is gone: two exports would overtake each other.
func OpenState(path string, of Of) (s *State, fresh bool, closed func(), err error) {
	s = &State{ID: uuid.NewString(), Of: of, path: path}
	if path == "" {
		return s, true, func() {}, nil
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, nil, fmt.Errorf("the state of the export cannot be kept: %w: name a file in a folder where this user may write", err)
	}
	closed = func() { _ = lock.Close() }
	if fresh, err = s.read(lock); err != nil {
		closed()
		return nil, false, nil, err
	}
	return s, fresh, closed, nil
}

// Within returns the times of the first run. To that they are given.
func (s *State) Within(since, until time.Time) (time.Time, time.Time) {
	if s.Since.IsZero() {
		s.Since = since
	}
	if s.Until.IsZero() {
		s.Until = until
	}
	return s.Since, s.Until
}

func (s *State) read(lock *os.File) (fresh bool, err error) {
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return false, fmt.Errorf("another export is running with the state %s: wait until it ends, or name another file", s.path)
	}
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("the state of the export cannot be read: %w", err)
	}
	of := s.Of
	if err := json.Unmarshal(text, s); err != nil {
		return false, fmt.Errorf("%s is not the state of an export: %w: name another file", s.path, err)
	}
	if s.Of != of {
		return false, fmt.Errorf("%s is the state of another export (target, format or filters differ): name another file", s.path)
	}
	return false, nil
}

// Save replaces the file; it is on the disk when Save returns.
func (s *State) Save() error {
	if s.path == "" {
		return nil
	}
	text, err := json.Marshal(s)
	if err == nil {
		err = owned.Replace(s.path, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keep the state of the export: %w", err)
	}
	return nil
}

// forget removes the file, of an export that has not begun.
func (s *State) forget() {
	if s.path != "" {
		_ = os.Remove(s.path) // why it has not begun is what matters
	}
}
