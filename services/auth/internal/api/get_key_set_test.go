package api_test

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// Verifiers of version 0.1.0 refuse the whole set over one key that they do not know; so the keys of
// ID tokens, RSA ones among them, are never in it, and today's tokens are proven by it.
func TestVerifiersOfTheReleaseBeforeTakeTheKeySet(t *testing.T) {
	a := newAuth(t)
	a.signUp()
	ids := a.idTokenKeys(t)
	set, err := authv1.NewVerificationServiceClient(a.As("gateway")).GetKeySet(t.Context(), &authv1.GetKeySetRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var told []token.JWK
	for _, k := range set.GetKeys() {
		told = append(told, token.JWK{KTY: k.GetKty(), Use: k.GetUse(), Alg: k.GetAlg(), KID: k.GetKid(), CRV: k.GetCrv(), X: k.GetX(), Y: k.GetY()})
	}
	known, err := keysOf010(told)
	if err != nil {
		t.Fatalf("version 0.1.0 refuses the set: %v", err)
	}
	signedBy := func(compact *jwt.Token) (any, error) {
		kid, _ := compact.Header["kid"].(string)
		return known[kid].Public, nil
	}
	if _, err := jwt.Parse(a.signIn().GetAccessToken(), signedBy, jwt.WithValidMethods([]string{token.EdDSA, token.ES256})); err != nil {
		t.Errorf("version 0.1.0 refuses a token of today: %v", err)
	}
	for _, id := range ids {
		if _, in := known[id.KID]; in {
			t.Errorf("the key %s of ID tokens is in the set", id.KID)
		}
		if _, err := keysOf010(append(told, id)); err == nil { // the control
			t.Error("version 0.1.0 would take a set with a key of ID tokens")
		}
	}
}

// idTokenKeys makes Auth's RSA keys of ID tokens, and has its keeper read all that is there.
func (a *auth) idTokenKeys(t *testing.T) (public []token.JWK) {
	t.Helper()
	sealer, err := signingkey.NewSealer(bytes.Repeat([]byte{1}, signingkey.SealingKeyLength), nil)
	if err != nil {
		t.Fatal(err)
	}
	policy := signingkey.Policy{Purpose: signingkey.ForID, Algorithm: token.RS256, MaxAge: 5 * time.Minute, Interval: 24 * time.Hour}
	keeper := signingkey.NewKeeper(policy, a.IDTokenKeys[token.RS256], sealer, rand.Reader, time.Now)
	if err := keeper.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.keeper.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, _, err := keeper.Set()
	if err != nil || len(keys) == 0 {
		t.Fatalf("there are no keys of ID tokens to leave out: %v", err)
	}
	for _, key := range keys {
		jwk, err := token.NewJWK(key)
		if err != nil {
			t.Fatal(err)
		}
		public = append(public, jwk)
	}
	return public
}
