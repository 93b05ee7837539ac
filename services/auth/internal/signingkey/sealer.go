package signingkey

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// SealingKeyLength is the length of a sealing key in bytes (AES-256).
const SealingKeyLength = 32

// ErrWrongSealingKey is a sealing key that does not open the stored signing keys.
var ErrWrongSealingKey = errors.New("the key in GATEHOUSE_AUTH_KEY_FILE does not open the stored signing keys: " +
	"give the file they were sealed with, as GATEHOUSE_AUTH_KEY_PREVIOUS_FILE beside a new one, or, if it is lost for good, " +
	"delete all rows of auth.signing_keys and auth.id_token_keys, which ends every token")

// Sealer encrypts private keys at rest with AES-256-GCM, bound to the key's id and algorithm. While
// the sealing key is replaced it has the previous one, too, and opens what either has sealed.
type Sealer struct {
	current  cipher.AEAD
	previous cipher.AEAD // nil without one
	keys     [2][]byte   // current and previous, nil without one
}

// NewSealer returns a sealer over a key of SealingKeyLength random bytes, and a previous one of
// which nil is none.
func NewSealer(key, previous []byte) (*Sealer, error) {
	s := &Sealer{keys: [2][]byte{key, nil}}
	var err error
	if s.current, err = newAEAD(key); err != nil {
		return nil, err
	}
	if previous == nil || bytes.Equal(key, previous) {
		return s, nil
	}
	s.keys[1] = previous
	s.previous, err = newAEAD(previous)
	return s, err
}

// Derive returns a secret for a purpose of its own, and that of the previous key, of which nil is
// none: whoever learns one, or wears it out, has nothing of the sealing keys (RFC 5869).
func (s *Sealer) Derive(purpose string) (current, previous []byte, err error) {
	var derived [2][]byte
	for i, key := range s.keys {
		if key == nil {
			continue
		}
		if derived[i], err = hkdf.Key(sha256.New, key, nil, purpose, SealingKeyLength); err != nil {
			return nil, nil, fmt.Errorf("derive a key for %s: %w", purpose, err)
		}
	}
	return derived[0], derived[1], nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
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
	return aead, nil
}

// seal returns nonce and ciphertext of a private key.
func (s *Sealer) seal(random io.Reader, k Key, private []byte) ([]byte, error) {
	nonce := make([]byte, s.current.NonceSize(), s.current.NonceSize()+len(private)+s.current.Overhead())
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("seal private key: %w", err)
	}
	return s.current.Seal(nonce, nonce, private, binding(k)), nil
}

// open returns the private key, and whether it was sealed with the previous key; or
// ErrWrongSealingKey.
func (s *Sealer) open(k Key) (private []byte, byPrevious bool, err error) {
	size := s.current.NonceSize()
	if len(k.Sealed) < size {
		return nil, false, fmt.Errorf("open private key %s: it is cut short", k.ID)
	}
	if private, err = s.current.Open(nil, k.Sealed[:size], k.Sealed[size:], binding(k)); err == nil {
		return private, false, nil
	}
	if s.previous != nil {
		if private, err = s.previous.Open(nil, k.Sealed[:size], k.Sealed[size:], binding(k)); err == nil {
			return private, true, nil
		}
	}
	return nil, false, ErrWrongSealingKey
}

// like returns the sealer for new keys beside those that are stored: while one of these is sealed
// with the previous key, so are new ones, for an instance that does not know another key yet may
// have to open them. All change at once, by Reseal. It fails when it cannot open one of them.
func (s *Sealer) like(stored []Key) (*Sealer, error) {
	for _, k := range stored {
		_, byPrevious, err := s.open(k)
		if err != nil {
			return nil, err
		}
		if byPrevious {
			return &Sealer{current: s.previous}, nil
		}
	}
	return s, nil
}

// binding is the additional data: a sealed key moved to another row, or to another purpose, does
// not open.
func binding(k Key) []byte {
	kind := "gatehouse.auth.signing_key"
	if k.Purpose == ForID {
		kind = "gatehouse.auth.id_token_key"
	}
	return []byte(kind + "\x00" + k.ID + "\x00" + k.Algorithm)
}
