package api

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
)

// Keys hands out the key that cursors and page tokens are sealed with: the same one to all
// instances, for good.
type Keys interface {
	CursorKey(ctx context.Context) ([]byte, error)
}

// seal makes cursors and page tokens that only Audit reads: they hold positions, which count the
// events of everybody, and nobody makes one up (R91, R93). Two seals of one position look
// different, so that a sign of life does not tell whether others did anything.
//
// The form is base64url of: version (1 byte), nonce (12), AES-256-GCM of the value, tag (16); what
// the value is for is authenticated.
type seal struct {
	keys Keys

	mu   sync.Mutex
	aead cipher.AEAD // once the key is known
}

const sealVersion = 2 // 1 was not sealed

// errNotSealed is a text that open did not make, or for something else.
var errNotSealed = errors.New("not one of our seals")

func (s *seal) cipher(ctx context.Context) (cipher.AEAD, error) {
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

func (s *seal) close(ctx context.Context, purpose, value []byte) (string, error) {
	aead, err := s.cipher(ctx)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal([]byte{sealVersion}, nil, value, purpose)), nil
}

// open returns the value that was sealed for the purpose, or errNotSealed.
func (s *seal) open(ctx context.Context, purpose []byte, text string) ([]byte, error) {
	aead, err := s.cipher(ctx)
	if err != nil {
		return nil, err
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) == 0 || sealed[0] != sealVersion || len(text) != base64.RawURLEncoding.EncodedLen(len(sealed)) {
		return nil, errNotSealed
	}
	value, err := aead.Open(nil, nil, sealed[1:], purpose)
	if err != nil {
		return nil, errNotSealed
	}
	return value, nil
}
