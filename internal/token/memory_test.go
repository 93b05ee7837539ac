package token

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// changing is a KeySource whose key the test changes.
type changing struct {
	key Key
	err error
}

func (c *changing) Key(context.Context, string) (Key, error) {
	return c.key, c.err
}

// remembered verifies a token once, so that its proof is remembered, and returns everything that decides about it.
func remembered(t *testing.T) (v *Verifier, compact string, keys *changing, ended *RevocationList, clock *time.Time) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signing := SigningKey{ID: "one", Algorithm: EdDSA, Signer: private}
	now := time.Unix(1_700_000_000, 0)
	clock = &now
	read := func() time.Time { return *clock }
	keys, ended = &changing{key: signing.Public()}, NewRevocationList(read)
	ended.Apply(true, nil)
	v = NewVerifier(Config{Issuer: "https://issuer.example", Audience: "api"}, keys, ended, read)
	compact, err = Sign(Claims{
		Issuer: "https://issuer.example", Audience: []string{"api"}, Subject: "u", ClientID: "gatehouse", SessionID: "s", OrganizationID: "o", ID: "j",
		IssuedAt: now, ExpiresAt: now.Add(10 * time.Minute),
	}, signing)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		claims, err := v.Verify(t.Context(), compact)
		if err != nil || claims.Subject != "u" {
			t.Fatalf("a good token: %+v, %v", claims, err)
		}
		claims.Audience[0] = "changed by the caller"
	}
	if len(v.proven.young) != 1 {
		t.Fatalf("%d proofs are remembered", len(v.proven.young))
	}
	return v, compact, keys, ended, clock
}

// What is remembered decides nothing that can change: each of these takes effect on the next request (R41, R43, R48, R22).
func TestRememberedTokensAreStillDecided(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, keys *changing, ended *RevocationList, clock *time.Time)
		reason string
	}{
		"expired": {func(_ *testing.T, _ *changing, ended *RevocationList, clock *time.Time) {
			*clock = clock.Add(11 * time.Minute)
			ended.Apply(true, nil)
		}, apierr.TokenExpired().Reason},
		"revoked": {func(_ *testing.T, _ *changing, ended *RevocationList, clock *time.Time) {
			ended.Apply(false, []Revocation{{SessionID: "s", ExpiresAt: clock.Add(time.Hour)}})
		}, apierr.TokenRevoked().Reason},
		"feed stale": {func(_ *testing.T, _ *changing, _ *RevocationList, clock *time.Time) {
			*clock = clock.Add(StaleAfter + time.Second)
		}, apierr.RevocationsStale().Reason},
		"key removed": {func(_ *testing.T, keys *changing, _ *RevocationList, _ *time.Time) {
			keys.key, keys.err = Key{}, ErrUnknownKey
		}, apierr.InvalidToken().Reason},
		"keys gone": {func(_ *testing.T, keys *changing, _ *RevocationList, _ *time.Time) {
			keys.key, keys.err = Key{}, errors.New("never loaded")
		}, apierr.KeysUnavailable().Reason},
		"key replaced under its kid": {func(t *testing.T, keys *changing, _ *RevocationList, _ *time.Time) {
			public, _, err := ed25519.GenerateKey(nil)
			if err != nil {
				t.Fatal(err)
			}
			keys.key.Public = public
		}, apierr.InvalidToken().Reason},
		"key bound to another algorithm": {func(_ *testing.T, keys *changing, _ *RevocationList, _ *time.Time) {
			keys.key.Algorithm = ES256
		}, apierr.InvalidToken().Reason},
	} {
		t.Run(name, func(t *testing.T) {
			v, compact, keys, ended, clock := remembered(t)
			c.change(t, keys, ended, clock)
			var refused *apierr.Error
			if _, err := v.Verify(t.Context(), compact); !errors.As(err, &refused) || refused.Reason != c.reason {
				t.Errorf("%v, want %s", err, c.reason)
			}
		})
	}
}

// A refused token is not remembered, and a change of one byte is another token.
func TestOnlyProvenTokensAreRemembered(t *testing.T) {
	v, compact, _, _, _ := remembered(t)
	for i := range 40 {
		forged := []byte(compact)
		forged[len(forged)-1-i] ^= 1
		if _, err := v.Verify(t.Context(), string(forged)); err == nil {
			t.Fatalf("byte %d from the end changed, and still admitted", i)
		}
	}
	if n := len(v.proven.young); n != 1 {
		t.Errorf("%d proofs after forged tokens, want 1", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var m memory
	hot := fingerprintOf("hot")
	m.remember(hot, proof{claims: Claims{Subject: "hot"}})
	for i := range 10 * generation {
		m.remember(fingerprintOf(fmt.Sprint(i)), proof{})
		if p, ok := m.recall(hot); !ok || p.claims.Subject != "hot" {
			t.Fatalf("what is in use was forgotten after %d others", i)
		}
	}
	if n := len(m.young) + len(m.old); n > 2*generation {
		t.Errorf("%d proofs are kept", n)
	}
}
