package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
)

// idKeys are one key of each algorithm of ID tokens.
func idKeys(t *testing.T) map[string]SigningKey {
	t.Helper()
	r, errR := rsa.GenerateKey(rand.Reader, MinRSA)
	e, errE := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, o, errO := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(errR, errE, errO); err != nil {
		t.Fatal(err)
	}
	return map[string]SigningKey{
		RS256: {ID: "r", Algorithm: RS256, Signer: r}, ES256: {ID: "e", Algorithm: ES256, Signer: e}, EdDSA: {ID: "o", Algorithm: EdDSA, Signer: o},
	}
}

func finder(keys map[string]SigningKey) func(string) *Key {
	return func(kid string) *Key {
		for _, key := range keys {
			if key.ID == kid {
				public := key.Public()
				return &public
			}
		}
		return nil
	}
}

// R41, R44, R45: an ID token is good by the one algorithm of its key, in the one form that is made
// here.
func TestIDTokens(t *testing.T) {
	keys := idKeys(t)
	encode := base64.RawURLEncoding.EncodeToString
	for algorithm, key := range keys {
		compact, err := SignIDToken(map[string]string{"sub": "u"}, key)
		if err != nil {
			t.Fatal(err)
		}
		if payload, err := VerifyIDToken(compact, finder(keys)); err != nil || string(payload) != `{"sub":"u"}` {
			t.Fatalf("%s: %s, %v", algorithm, payload, err)
		}
		_, rest, _ := strings.Cut(compact, ".")
		body, signature, _ := strings.Cut(rest, ".")
		with := func(header string) string { return encode([]byte(header)) + "." + rest }
		for name, forged := range map[string]string{
			"another payload":      strings.Replace(compact, "."+body+".", "."+encode([]byte(`{"sub":"v"}`))+".", 1),
			"no signature":         strings.TrimSuffix(compact, signature),
			"none":                 with(`{"alg":"none","kid":"` + key.ID + `","typ":"JWT"}`),
			"HS256":                with(`{"alg":"HS256","kid":"` + key.ID + `","typ":"JWT"}`),
			"an access token's":    with(`{"alg":"` + algorithm + `","kid":"` + key.ID + `","typ":"at+jwt"}`),
			"an unknown key":       with(`{"alg":"` + algorithm + `","kid":"x","typ":"JWT"}`),
			"a key in the header":  with(`{"alg":"` + algorithm + `","kid":"` + key.ID + `","typ":"JWT","jwk":{}}`),
			"the header otherwise": with(`{"kid":"` + key.ID + `","alg":"` + algorithm + `","typ":"JWT"}`),
			"padded":               compact + "=",
			"nothing":              "",
		} {
			if _, err := VerifyIDToken(forged, finder(keys)); err == nil {
				t.Errorf("%s, %s: it is good", algorithm, name)
			}
		}
	}
	confused := keys[RS256]
	confused.Algorithm = ES256
	if _, err := SignIDToken(struct{}{}, confused); err == nil {
		t.Error("an RSA key signs ES256")
	}
}

// R46: RSA keys are published with modulus and exponent, from 2048 bits on, and no verifier of
// access tokens takes one.
func TestRSAKeysArePublished(t *testing.T) {
	key := idKeys(t)[RS256].Public()
	jwk, err := NewJWK(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jwk)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]string
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	n, err := base64.RawURLEncoding.DecodeString(members["n"])
	if err != nil || new(big.Int).SetBytes(n).Cmp(key.Public.(*rsa.PublicKey).N) != 0 || members["e"] != "AQAB" {
		t.Errorf("n and e are not those of the key: %s, %v", text, err)
	}
	if members["kty"] != "RSA" || members["alg"] != RS256 || members["use"] != "sig" || members["kid"] != "r" || len(members) != 6 {
		t.Errorf("%s", text)
	}
	if _, err := jwk.Key(); err == nil {
		t.Error("an RSA key verifies access tokens")
	}
	if _, err := Sign(Claims{}, idKeys(t)[RS256]); err == nil {
		t.Error("an RSA key signs access tokens")
	}
	short := Key{ID: "s", Algorithm: RS256, Public: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}}
	if _, err := NewJWK(short); err == nil {
		t.Error("a key of 1024 bits is published")
	}
}
