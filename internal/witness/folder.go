package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/owned"
)

// folder is what a witness must not forget: its key, and of each log the last checkpoint that it
// cosigned. One process at a time has it.
type folder struct {
	path string
	lock *os.File
}

// openFolder takes a folder, which it makes when there is none. It is this user's, and nobody else
// can write in it (R88).
func openFolder(path string) (folder, error) {
	place, err := owned.Folder(path)
	if err != nil {
		return folder{}, fmt.Errorf("open the witness's folder: %w", err)
	}
	if err := os.MkdirAll(place, 0o700); err != nil {
		return folder{}, fmt.Errorf("make the witness's folder: %w", err)
	}
	lock, err := owned.Open(filepath.Join(place, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return folder{}, fmt.Errorf("open the witness's folder: %w", err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errors.New("another process has it: two witnesses with one memory could cosign two histories; end that one first")
	}
	if err != nil {
		_ = lock.Close()
		return folder{}, fmt.Errorf("lock the folder %s: %w", place, err)
	}
	return folder{place, lock}, nil
}

// close gives the folder back.
func (f folder) close() error { return f.lock.Close() }

const keyFile = "key"

// makeKey stores a new key, and refuses where there is one.
func (f folder) makeKey(secret string) error {
	switch _, err := os.Lstat(filepath.Join(f.path, keyFile)); {
	case err == nil:
		return fmt.Errorf("%s has a key already: a witness keeps its key, or its cosignatures are those of a stranger", f.path)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look for the witness's key: %w", err)
	}
	return f.write(keyFile, []byte(secret+"\n"))
}

func (f folder) key() (string, error) {
	text, err := f.read(keyFile, 4096)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s has no key: make one with --new-key NAME, such as --new-key witness.example.org", f.path)
	}
	return string(text), err
}

// checkpoint is the last one of an origin that was stored; nil when there is none.
func (f folder) checkpoint(origin string) ([]byte, error) {
	text, err := f.read(fileName(origin), auditlog.MaxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

func (f folder) keep(origin string, text []byte) error { return f.write(fileName(origin), text) }

// originHash names an origin where any text may be one.
func originHash(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:])
}

func fileName(origin string) string { return originHash(origin) + ".checkpoint" }

func (f folder) read(name string, most int64) ([]byte, error) {
	file, err := owned.Open(filepath.Join(f.path, name), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s is larger than anything that was stored there", file.Name())
	}
	return text, err
}

func (f folder) write(name string, text []byte) error {
	if err := owned.Replace(filepath.Join(f.path, name), text); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}
