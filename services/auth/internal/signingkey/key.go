// Package signingkey owns the keys that sign access tokens and ID tokens: making them, rotating
// them with overlap, keeping their private halves sealed at rest, and publishing their public
// halves. A Keeper keeps the keys of one purpose; those of ID tokens are apart, one Keeper for each
// algorithm (IDTokens).
//
// It imports no driver, transport or generated code; the api and session packages use the Keeper
// and the postgres package stores for it.
package signingkey

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/token"
)

// State is where a key is in its life. There is always one active key and, after the first start, one next key.
//
//	next ──published for a max_age, and the active key is due──► active ──its successor took over──► retired ──its last token expired──► (deleted)
//	  │                                                                                                ▲
//	  └──of an algorithm that is no longer configured──► (deleted, it never signed)      published in all three states
type State string

// The states of a key.
const (
	Next    State = "next"    // published, so that every cache knows it before it signs
	Active  State = "active"  // signs
	Retired State = "retired" // verifies what it signed
)

// Purpose is what keys sign. A key has one for life: it is sealed for it.
type Purpose string

// The purposes of keys.
const (
	ForAccess Purpose = "access_token"
	ForID     Purpose = "id_token"
)

// Key is a signing key as it is stored.
type Key struct {
	ID         string
	Purpose    Purpose
	Algorithm  string // token.EdDSA or token.ES256; of ID tokens token.RS256, too
	State      State
	Public     []byte // PKIX, DER (RFC 5280, section 4.1)
	Sealed     []byte // PKCS #8, DER, sealed by Sealer
	CreateTime time.Time
	StateTime  time.Time // when it entered its state
}

// Plan is what the stored keys should be, and what is recorded of the change.
type Plan struct {
	Keys   []Key
	Events []event.Event
}

// Store keeps the signing keys of one purpose. Each method is one transaction;
// internal/signingkey/signingkeytest holds implementations to these words.
type Store interface {
	// List returns all keys, oldest first.
	List(ctx context.Context) ([]Key, error)
	// Change locks the keys against every other Change, asks plan what they should be, stores the
	// difference, records the plan's events and returns its keys. An error of plan changes nothing
	// and is returned as it is.
	Change(ctx context.Context, plan func([]Key) (Plan, error)) ([]Key, error)
}

// seal makes a new key of a signer, in the given state.
func (p Policy) seal(random io.Reader, sealer *Sealer, signer crypto.Signer, state State, now time.Time) (Key, error) {
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return Key{}, fmt.Errorf("encode public key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return Key{}, fmt.Errorf("encode private key: %w", err)
	}
	id := make([]byte, 16)
	if _, err := io.ReadFull(random, id); err != nil {
		return Key{}, fmt.Errorf("draw key id: %w", err)
	}
	k := Key{
		ID: base64.RawURLEncoding.EncodeToString(id), Purpose: p.Purpose, Algorithm: p.Algorithm, State: state,
		Public: public, CreateTime: now, StateTime: now,
	}
	k.Sealed, err = sealer.seal(random, k, private)
	return k, err
}

func generateSigner(random io.Reader, algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case token.EdDSA:
		_, private, err := ed25519.GenerateKey(random)
		return private, err
	case token.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), random)
	case token.RS256:
		return rsa.GenerateKey(random, token.MinRSA)
	}
	return nil, fmt.Errorf("no keys are made for algorithm %q: use %s or %s", algorithm, token.EdDSA, token.ES256)
}

// publicKey reads the public half.
func (k Key) publicKey() (token.Key, error) {
	public, err := x509.ParsePKIXPublicKey(k.Public)
	if err != nil {
		return token.Key{}, fmt.Errorf("read public key %s: %w", k.ID, err)
	}
	return token.Key{ID: k.ID, Algorithm: k.Algorithm, Public: public}, nil
}

// signingKey opens the private half, and says whether the previous sealing key has sealed it.
func (k Key) signingKey(sealer *Sealer) (opened token.SigningKey, byPrevious bool, err error) {
	private, byPrevious, err := sealer.open(k)
	if err != nil {
		return token.SigningKey{}, false, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return token.SigningKey{}, false, fmt.Errorf("read private key %s: %w", k.ID, err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return token.SigningKey{}, false, fmt.Errorf("read private key %s: it cannot sign", k.ID)
	}
	return token.SigningKey{ID: k.ID, Algorithm: k.Algorithm, Signer: signer}, byPrevious, nil
}
