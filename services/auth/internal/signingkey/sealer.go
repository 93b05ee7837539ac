package signingkey

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// SealingKeyLength is the length of a sealing key in bytes (AES-256).
const SealingKeyLength = 32

// ErrWrongSealingKey is a sealing key that does not open the stored signing keys.
var ErrWrongSealingKey = errors.New("the key in GATEHOUSE_AUTH_KEY_FILE does not open the stored signing keys: " +
	"give the file they were sealed with, or, if it is lost for good, delete all rows of auth.signing_keys, which ends every access token")

// Sealer encrypts private keys at rest with AES-256-GCM, bound to the key's id and algorithm.
type Sealer struct{ aead cipher.AEAD }

// NewSealer returns a sealer over a key of SealingKeyLength random bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != SealingKeyLength {
		return nil, fmt.Errorf("a sealing key has %d bytes, not %d", SealingKeyLength, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make sealer: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make sealer: %w", err)
	}
	return &Sealer{aead: aead}, nil
}

// OpenSealer reads the sealing key from a file that only its owner may read: 32 bytes, raw or in base64.
func OpenSealer(path string) (*Sealer, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the sealing key %s (GATEHOUSE_AUTH_KEY_FILE) does not exist: "+
			"make it with `(umask 077; head -c 32 /dev/urandom | base64 > FILE)` or correct the path", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the sealing key (GATEHOUSE_AUTH_KEY_FILE): %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the sealing key (GATEHOUSE_AUTH_KEY_FILE): %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the sealing key %s (GATEHOUSE_AUTH_KEY_FILE) is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("the sealing key %s (GATEHOUSE_AUTH_KEY_FILE) is open to others (mode %04o): chmod 600 it", path, mode)
	}
	content, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil, fmt.Errorf("read the sealing key (GATEHOUSE_AUTH_KEY_FILE): %w", err)
	}
	key, ok := decodeSealingKey(content)
	if !ok {
		return nil, fmt.Errorf("the sealing key %s (GATEHOUSE_AUTH_KEY_FILE) is not %d random bytes, raw or in base64: make one with `head -c 32 /dev/urandom | base64`",
			path, SealingKeyLength)
	}
	return NewSealer(key)
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

// seal returns nonce and ciphertext of a private key.
func (s *Sealer) seal(random io.Reader, k Key, private []byte) ([]byte, error) {
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(private)+s.aead.Overhead())
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("seal private key: %w", err)
	}
	return s.aead.Seal(nonce, nonce, private, binding(k)), nil
}

// open returns the private key, or ErrWrongSealingKey.
func (s *Sealer) open(k Key) ([]byte, error) {
	size := s.aead.NonceSize()
	if len(k.Sealed) < size {
		return nil, fmt.Errorf("open private key %s: it is cut short", k.ID)
	}
	private, err := s.aead.Open(nil, k.Sealed[:size], k.Sealed[size:], binding(k))
	if err != nil {
		return nil, ErrWrongSealingKey
	}
	return private, nil
}

// binding is the additional data: a sealed key moved to another row does not open.
func binding(k Key) []byte {
	return []byte("gatehouse.auth.signing_key\x00" + k.ID + "\x00" + k.Algorithm)
}
