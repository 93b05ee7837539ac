package mail

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
)

// The purposes for which secrets are derived of the sealing key.
const (
	SealPurpose    = "gatehouse.auth.mail"
	AddressPurpose = "gatehouse.auth.mail_address"
)

// Secrets are those of one purpose, of 32 bytes; Previous is nil unless the sealing key is
// replaced.
type Secrets struct{ Current, Previous []byte }

// Sealer seals letters for the queue, each bound to its id, and hashes addresses. While the sealing
// key is replaced it seals with the previous one for as long as an instance may know no other, and
// opens what either has sealed.
type Sealer struct {
	current, previous cipher.AEAD // previous is nil without one
	addresses         Secrets
	usePrevious       func() bool
}

// NewSealer returns a sealer over the secrets of both purposes; usePrevious tells whether an
// instance may not know the current ones yet.
func NewSealer(seal, addresses Secrets, usePrevious func() bool) (*Sealer, error) {
	s := &Sealer{addresses: addresses, usePrevious: usePrevious}
	var err error
	if s.current, err = newAEAD(seal.Current); err != nil || seal.Previous == nil {
		return s, err
	}
	s.previous, err = newAEAD(seal.Previous)
	return s, err
}

func newAEAD(secret []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("open the key of mails: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// before reports whether the previous secrets are those to use.
func (s *Sealer) before() bool { return s.previous != nil && s.usePrevious() }

func (s *Sealer) seal(id string, l Letter) ([]byte, error) {
	plain, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("seal mail: %w", err)
	}
	aead := s.current
	if s.before() {
		aead = s.previous
	}
	return aead.Seal(nil, nil, plain, []byte(id)), nil //nolint:gosec // this AEAD draws its nonces itself
}

var errNotOpened = errors.New("no sealing key of this instance opens the mail")

// open returns a letter, and whether the previous key has sealed it.
func (s *Sealer) open(id string, sealed []byte) (l Letter, byPrevious bool, err error) {
	plain, err := s.current.Open(nil, nil, sealed, []byte(id))
	if err != nil && s.previous != nil {
		byPrevious = true
		plain, err = s.previous.Open(nil, nil, sealed, []byte(id))
	}
	if err != nil {
		return Letter{}, false, errNotOpened
	}
	if err := json.Unmarshal(plain, &l); err != nil {
		return Letter{}, false, fmt.Errorf("open mail: %w", err)
	}
	return l, byPrevious, nil
}

// hash is the keyed hash of an address, in the form of address.Fold.
func (s *Sealer) hash(address string) []byte {
	secret := s.addresses.Current
	if s.before() && s.addresses.Previous != nil {
		secret = s.addresses.Previous
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(address))
	return mac.Sum(nil)
}

// Reseal seals anew, with the current key, every mail that waits and that the previous one has
// sealed. A mail that neither opens stays as it is: it expires. Mails that instances still seal
// with the previous one for a moment afterwards are sealed anew when an attempt fails.
func (s *Sealer) Reseal(ctx context.Context, store Store) (changed int, err error) {
	return store.Reseal(ctx, func(id string, sealed []byte) ([]byte, error) {
		l, byPrevious, err := s.open(id, sealed)
		if err != nil || !byPrevious {
			return nil, nil //nolint:nilerr // it stays as it is
		}
		return s.seal(id, l)
	})
}
