package api_test

import (
	"bytes"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// Verifiers of version 0.1.0 refuse the whole set over one key that is not of these (its
// internal/token, JWK.Key and keysOf); so the keys of ID tokens, RSA ones among them, are never in
// it.
func TestVerifiersOfTheReleaseBeforeTakeTheKeySet(t *testing.T) {
	a := newAuth(t)
	sealer, err := signingkey.NewSealer(bytes.Repeat([]byte{1}, signingkey.SealingKeyLength), nil)
	if err != nil {
		t.Fatal(err)
	}
	policy := signingkey.Policy{Purpose: signingkey.ForID, Algorithm: token.RS256, MaxAge: 5 * time.Minute, Interval: 24 * time.Hour}
	if err := signingkey.NewKeeper(policy, a.IDTokenKeys[token.RS256], sealer, rand.Reader, time.Now).Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.keeper.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	set, err := authv1.NewVerificationServiceClient(a.As("gateway")).GetKeySet(t.Context(), &authv1.GetKeySetRequest{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, key := range set.GetKeys() {
		known := slices.Contains([]string{"OKP Ed25519 EdDSA", "EC P-256 ES256"}, key.GetKty()+" "+key.GetCrv()+" "+key.GetAlg())
		if !known || key.GetUse() != "sig" || key.GetX() == "" || (key.GetKty() == "OKP") != (key.GetY() == "") || seen[key.GetKid()] {
			t.Errorf("version 0.1.0 does not know this key: %v", key)
		}
		seen[key.GetKid()] = true
	}
	if len(seen) == 0 {
		t.Error("there are no keys")
	}
	ids, err := a.IDTokenKeys[token.RS256].List(t.Context())
	if err != nil || len(ids) == 0 {
		t.Fatalf("there are no keys of ID tokens to leave out: %v", err)
	}
	for _, id := range ids {
		if seen[id.ID] {
			t.Errorf("the key %s of ID tokens is in the set", id.ID)
		}
	}
}
