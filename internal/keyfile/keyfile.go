// Package keyfile reads keys of their files. It is apart from internal/config because domain
// packages open their own keys.
package keyfile

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Length is how many bytes a key in a file has.
const Length = 32

// File is a file with a key: Length random bytes, raw or in base64, that only its owner may
// read.
type File struct {
	Path     string
	Variable string // that names it
	What     string // is kept in it, such as "the sealing key"; errors begin with it
	Optional bool   // an empty path, or an empty file, is no key: a template makes one of a variable that there is not
}

// Read returns the key, nil for none of an optional one.
func (k File) Read() ([]byte, error) {
	if k.Path == "" && k.Optional {
		return nil, nil
	}
	content, err := k.content()
	if err != nil || len(content) == 0 && k.Optional {
		return nil, err
	}
	key, ok := decodeKey(content)
	if !ok {
		return nil, fmt.Errorf("%s %s (%s) is not %d random bytes, raw or in base64: make one with `head -c %d /dev/urandom | base64`",
			k.What, k.Path, k.Variable, Length, Length)
	}
	return key, nil
}

func (k File) content() ([]byte, error) {
	f, err := os.Open(k.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s %s (%s) does not exist: "+
			"make it with `(umask 077; head -c %d /dev/urandom | base64 > FILE)` or correct the path", k.What, k.Path, k.Variable, Length)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s (%s): %w", k.What, k.Variable, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s (%s): %w", k.What, k.Variable, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s %s (%s) is not a regular file", k.What, k.Path, k.Variable)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s %s (%s) is open to others (mode %04o): chmod 600 it", k.What, k.Path, k.Variable, mode)
	}
	content, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil, fmt.Errorf("read %s (%s): %w", k.What, k.Variable, err)
	}
	return content, nil
}

func decodeKey(content []byte) ([]byte, bool) {
	if len(content) == Length {
		return content, true
	}
	text := strings.TrimRight(strings.TrimSpace(string(content)), "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if key, err := encoding.DecodeString(text); err == nil && len(key) == Length {
			return key, true
		}
	}
	return nil, false
}
