// Package seal seals what Auth hands out instead of storing it, such as authorization codes, and
// what it stores and nobody else may read, such as the secrets of second factors.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Box seals for one purpose: AES-256-GCM, with a key of its own for each thing that is derived from
// Auth's sealing key, so that no number of things wears a key out. While the sealing key is
// replaced, it seals with the previous one until all instances know the new one, and opens what
// either has sealed.
type Box struct {
	purpose           string
	current, previous []byte // previous is nil without one
	usePrevious       func() bool
}

// NewBox returns a box over secrets of 32 bytes or more that were derived for the purpose;
// usePrevious tells whether an instance may not know the current one yet, and may be nil without a
// previous one.
func NewBox(purpose string, current, previous []byte, usePrevious func() bool) *Box {
	return &Box{purpose: purpose, current: current, previous: previous, usePrevious: usePrevious}
}

// ErrNotOurs is what no key of this box has sealed, or not for this binding.
var ErrNotOurs = errors.New("not sealed here")

// saltLength is the length of what a key is derived from, beside the secret, in bytes.
const saltLength = 16

// Seal seals bytes. They open with the same binding alone, which says whose they are.
func (b *Box) Seal(plain, binding []byte) ([]byte, error) {
	secret := b.current
	if b.previous != nil && b.usePrevious() {
		secret = b.previous
	}
	salt := make([]byte, saltLength, saltLength+len(plain)+64)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	aead, err := b.keyOf(secret, salt)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", b.purpose, err)
	}
	return aead.Seal(salt, nil, plain, binding), nil //nolint:gosec // this AEAD draws its nonces itself
}

// Open returns what was sealed, and whether the previous key has sealed it; or ErrNotOurs.
func (b *Box) Open(sealed, binding []byte) (plain []byte, byPrevious bool, err error) {
	if len(sealed) <= saltLength {
		return nil, false, ErrNotOurs
	}
	for i, secret := range [][]byte{b.current, b.previous} {
		if secret == nil {
			continue
		}
		aead, err := b.keyOf(secret, sealed[:saltLength])
		if err != nil {
			return nil, false, fmt.Errorf("open %s: %w", b.purpose, err)
		}
		if plain, err := aead.Open(nil, nil, sealed[saltLength:], binding); err == nil {
			return plain, i == 1, nil
		}
	}
	return nil, false, ErrNotOurs
}

// SealText seals a value as a text that goes into URLs and forms.
func (b *Box) SealText(v any) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("seal %s: %w", b.purpose, err)
	}
	sealed, err := b.Seal(plain, nil)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// OpenText reads a text of SealText into v, which is left alone with ErrNotOurs.
func (b *Box) OpenText(text string, v any) error {
	if strings.ContainsAny(text, "\r\n") { // the decoder skips line breaks
		return ErrNotOurs
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return ErrNotOurs
	}
	plain, _, err := b.Open(sealed, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("open %s: %w", b.purpose, err)
	}
	return nil
}

func (b *Box) keyOf(secret, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, salt, b.purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
