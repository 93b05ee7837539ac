package grpctest

import (
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
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

// Claims are good claims of a user who has just signed in, valid for ten minutes; session and token
// id are random.
func (i *Tokens) Claims(userID string) token.Claims {
	now := i.now()
	return token.Claims{
		Issuer: Issuer, Audience: []string{Audience}, Subject: userID, ClientID: "gatehouse", ID: uuid.NewString(),
		SessionID: uuid.NewString(), OrganizationID: uuid.NewString(), IssuedAt: now, ExpiresAt: now.Add(10 * time.Minute),
		Scope: token.PlatformScope, AuthTime: now,
	}
}

// Old are tokens of a person that are good and not fresh: proven a moment longer ago than may be,
// never said when, and said to be in the future.
func (i *Tokens) Old(userID string) map[string]string {
	i.t.Helper()
	signed := func(at time.Time) string {
		c := i.Claims(userID)
		c.AuthTime = at
		return i.Sign(c)
	}
	now := i.now()
	return map[string]string{
		"of an old sign-in": signed(now.Add(-token.FreshFor - time.Second)), "of nobody knows when": signed(time.Time{}), "of a sign-in to come": signed(now.Add(time.Minute)),
	}
}

// Foreign are tokens of this issuer that are good elsewhere and worth nothing on the platform's
// API: those of clients without the scope for it, and an ID token.
func (i *Tokens) Foreign(userID string) map[string]string {
	i.t.Helper()
	client := i.Claims(userID)
	client.ClientID, client.Audience, client.Scope = "shop", []string{Issuer, "https://api.shop.example"}, "openid email"
	hinting, scopeless := client, client
	hinting.Audience = append(hinting.Audience, Audience)
	scopeless.Audience, scopeless.Scope = []string{Audience}, ""
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		i.t.Fatalf("generate key: %v", err)
	}
	now := i.now()
	id := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": Issuer, "aud": "shop", "sub": userID, "sid": uuid.NewString(), "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	})
	id.Header["kid"] = "id-tokens"
	idToken, err := id.SignedString(private)
	if err != nil {
		i.t.Fatalf("sign: %v", err)
	}
	return map[string]string{
		"of a client": i.Sign(client), "of a client with the audience": i.Sign(hinting), "of a client without a scope": i.Sign(scopeless),
		"an ID token": idToken,
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
