package signingkey

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// The variables that name the files of sealing keys.
const (
	keyVariable      = "GATEHOUSE_AUTH_KEY_FILE"
	previousVariable = "GATEHOUSE_AUTH_KEY_PREVIOUS_FILE"
)

// OpenSealer reads the sealing key from a file that only its owner may read: 32 bytes, raw or in
// base64. An empty path of the previous one, or an empty file, is none.
func OpenSealer(path, previous string) (*Sealer, error) {
	key, err := readSealingKey(path, keyVariable)
	if err != nil {
		return nil, err
	}
	if previous == "" {
		return NewSealer(key, nil)
	}
	before, err := readSealingKey(previous, previousVariable)
	if err != nil {
		return nil, err
	}
	return NewSealer(key, before)
}

// readSealingKey returns nil for an empty file of the previous key: a template makes one of a
// variable that there is not.
func readSealingKey(path, variable string) ([]byte, error) {
	content, err := readPrivate(path, variable)
	if err != nil || len(content) == 0 && variable == previousVariable {
		return nil, err
	}
	key, ok := decodeSealingKey(content)
	if !ok {
		return nil, fmt.Errorf("the sealing key %s (%s) is not %d random bytes, raw or in base64: make one with `head -c 32 /dev/urandom | base64`",
			path, variable, SealingKeyLength)
	}
	return key, nil
}

func readPrivate(path, variable string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the sealing key %s (%s) does not exist: "+
			"make it with `(umask 077; head -c 32 /dev/urandom | base64 > FILE)` or correct the path", path, variable)
	}
	if err != nil {
		return nil, fmt.Errorf("read the sealing key (%s): %w", variable, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the sealing key (%s): %w", variable, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the sealing key %s (%s) is not a regular file", path, variable)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("the sealing key %s (%s) is open to others (mode %04o): chmod 600 it", path, variable, mode)
	}
	content, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil, fmt.Errorf("read the sealing key (%s): %w", variable, err)
	}
	return content, nil
}

func decodeSealingKey(content []byte) ([]byte, bool) {
	if len(content) == SealingKeyLength {
		return content, true
	}
	text := strings.TrimRight(strings.TrimSpace(string(content)), "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if key, err := encoding.DecodeString(text); err == nil && len(key) == SealingKeyLength {
			return key, true
		}
	}
	return nil, false
}
