package resource

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Keys hands out the key that tokens are sealed with: the same one to all instances, for good.
type Keys interface {
	CursorKey(ctx context.Context) ([]byte, error)
}

// Seal makes cursors and page tokens that only their maker reads: they hold positions of a list
// that is everybody's, which would tell what others do, and nobody makes one up (R91, R93). Two
// seals of one position look different. Safe for concurrent use.
//
// The form is base64url of: version (1 byte), nonce (12), AES-256-GCM of the value, tag (16); what
// the value is for is authenticated.
type Seal struct {
	keys Keys

	mu   sync.Mutex
	aead cipher.AEAD // once the key is known
}

const sealVersion = 2 // 1 was not sealed

// NewSeal returns a seal with a key that is asked for when it is first needed.
func NewSeal(keys Keys) *Seal { return &Seal{keys: keys} }

// ErrNotSealed is a text that Seal did not make, or for something else.
var ErrNotSealed = errors.New("not one of our seals")

func (s *Seal) cipher(ctx context.Context) (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aead != nil {
		return s.aead, nil
	}
	key, err := s.keys.CursorKey(ctx)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal cursors: %w", err)
	}
	s.aead, err = cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("seal cursors: %w", err)
	}
	return s.aead, nil
}

// Close seals a value for a purpose.
func (s *Seal) Close(ctx context.Context, purpose, value []byte) (string, error) {
	aead, err := s.cipher(ctx)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal([]byte{sealVersion}, nil, value, purpose)), nil //nolint:gosec // this AEAD makes its nonce itself
}

// Open returns the value that was sealed for the purpose, or ErrNotSealed.
func (s *Seal) Open(ctx context.Context, purpose []byte, text string) ([]byte, error) {
	aead, err := s.cipher(ctx)
	if err != nil {
		return nil, err
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) == 0 || sealed[0] != sealVersion || len(text) != base64.RawURLEncoding.EncodedLen(len(sealed)) {
		return nil, ErrNotSealed
	}
	value, err := aead.Open(nil, nil, sealed[1:], purpose)
	if err != nil {
		return nil, ErrNotSealed
	}
	return value, nil
}

// A page token seals: microseconds since 1970 (8 bytes, big endian), position (8). It is bound to
// the scope, so that it serves only the list that gave it.
const sealedBytes = 8 + 8

// PageToken seals the place after which the next page of the scope begins. Positions are not
// negative.
func (s *Seal) PageToken(ctx context.Context, at time.Time, position int64, scope ...string) (string, error) {
	b := appendMoment(make([]byte, 0, sealedBytes), at)
	b = binary.BigEndian.AppendUint64(b, uint64(position)) //nolint:gosec // positions are not negative
	return s.Close(ctx, Binding(sealedPages, scope), b)
}

// ParsePageToken returns the place of a token that PageToken made for the same scope, or
// ErrNotSealed.
func (s *Seal) ParsePageToken(ctx context.Context, token string, scope ...string) (at time.Time, position int64, err error) {
	b, err := s.Open(ctx, Binding(sealedPages, scope), token)
	if err == nil && len(b) != sealedBytes {
		err = ErrNotSealed
	}
	if err != nil {
		return time.Time{}, 0, err
	}
	return moment(b), int64(binary.BigEndian.Uint64(b[8:])), nil //nolint:gosec // made by the opposite conversion
}

const sealedPages = "page token"
