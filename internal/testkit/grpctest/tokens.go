package grpctest

import (
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/token"
)

// Issuer is where Tokens come from.
const (
	Issuer   = "https://gatehouse.test"
	Audience = "gatehouse"
)

// Tokens is an issuer of access tokens for tests: real keys, real verification.
type Tokens struct {
	Key         token.SigningKey
	Revocations *token.RevocationList

	t   testing.TB
	now func() time.Time
}

// NewTokens makes an issuer with a fresh EdDSA key.
func NewTokens(t testing.TB, now func() time.Time) *Tokens {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatalf("generate key: %v", err)
	}
	return &Tokens{
		Key: token.SigningKey{ID: "test", Algorithm: token.EdDSA, Signer: private},
		// A clock of its own keeps the list fresh for as long as the test runs.
		Revocations: token.NewRevocationList(func() time.Time { return time.Unix(0, 0) }),
		t:           t, now: now,
	}
}

// Config is the verifier's side.
func (i *Tokens) Config() token.Config { return token.Config{Issuer: Issuer, Audience: Audience} }

// Verifier verifies what Sign signs. Nothing is revoked until Revoke.
func (i *Tokens) Verifier() *token.Verifier {
	i.Revocations.Apply(true, nil)
	return token.NewVerifier(i.Config(), oneKey{i.Key.Public()}, i.Revocations, i.now)
}

// Claims are good claims of a user, valid for ten minutes; session and token id are random.
func (i *Tokens) Claims(userID string) token.Claims {
	now := i.now()
	return token.Claims{
		Issuer: Issuer, Audience: []string{Audience}, Subject: userID, ClientID: "gatehouse", ID: uuid.NewString(),
		SessionID: uuid.NewString(), OrganizationID: uuid.NewString(), IssuedAt: now, ExpiresAt: now.Add(10 * time.Minute),
	}
}

// Sign signs claims.
func (i *Tokens) Sign(c token.Claims) string {
	i.t.Helper()
	compact, err := token.Sign(c, i.Key)
	if err != nil {
		i.t.Fatalf("sign: %v", err)
	}
	return compact
}

// Revoke ends a session.
func (i *Tokens) Revoke(sessionID string) {
	i.Revocations.Apply(false, []token.Revocation{{SessionID: sessionID, ExpiresAt: i.now().Add(time.Hour)}})
}

// oneKey is a KeySource of one key.
type oneKey struct{ key token.Key }

// Key returns the key under its id.
func (o oneKey) Key(_ context.Context, kid string) (token.Key, error) {
	if kid != o.key.ID {
		return token.Key{}, token.ErrUnknownKey
	}
	return o.key, nil
}
