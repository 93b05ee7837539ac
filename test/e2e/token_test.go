package e2e_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var b64 = base64.RawURLEncoding

// forge builds a token from parts of a real one, signed by sign.
func forge(t *testing.T, real string, header, claims map[string]any, sign func(input string) []byte) string {
	t.Helper()
	parts := strings.Split(real, ".")
	edit := func(part string, changes map[string]any) string {
		raw, err := b64.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]any
		if err := json.Unmarshal(raw, &members); err != nil {
			t.Fatal(err)
		}
		for k, v := range changes {
			if v == nil {
				delete(members, k)
			} else {
				members[k] = v
			}
		}
		out, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		return b64.EncodeToString(out)
	}
	input := edit(parts[0], header) + "." + edit(parts[1], claims)
	return input + "." + b64.EncodeToString(sign(input))
}

// Tokens that Auth did not sign, or not for this, are refused (R41 to R45).
func TestForgedTokens(t *testing.T) {
	p := signUp(t)
	_, foreign, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwks := call(t, 200, request{method: "GET", path: "/.well-known/jwks.json"})
	first := jwks.body["keys"].([]any)[0].(map[string]any)
	public, err := b64.DecodeString(first["x"].(string))
	if err != nil {
		t.Fatal(err)
	}
	keep := func(string) []byte { sig, _ := b64.DecodeString(strings.Split(p.access, ".")[2]); return sig }
	hs256 := func(input string) []byte {
		m := hmac.New(sha256.New, public)
		m.Write([]byte(input))
		return m.Sum(nil)
	}
	eddsa := func(input string) []byte { return ed25519.Sign(foreign, []byte(input)) }
	none := func(string) []byte { return nil }
	cases := map[string]string{
		"alg none":               forge(t, p.access, map[string]any{"alg": "none"}, nil, none),
		"alg None":               forge(t, p.access, map[string]any{"alg": "None"}, nil, none),
		"HS256 by public key":    forge(t, p.access, map[string]any{"alg": "HS256"}, nil, hs256),
		"foreign key":            forge(t, p.access, nil, nil, eddsa),
		"foreign key, no kid":    forge(t, p.access, map[string]any{"kid": nil}, nil, eddsa),
		"embedded foreign key":   forge(t, p.access, map[string]any{"jwk": map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64.EncodeToString(foreign.Public().(ed25519.PublicKey))}}, nil, eddsa),
		"wrong typ, old sig":     forge(t, p.access, map[string]any{"typ": "JWT"}, nil, keep),
		"prolonged, old sig":     forge(t, p.access, nil, map[string]any{"exp": time.Now().Add(time.Hour).Unix()}, keep),
		"other subject, old sig": forge(t, p.access, nil, map[string]any{"sub": "3b1f1d5e-0d2f-4c44-9a40-7d0a3c5f9a11"}, keep),
		"padding":                p.access + "=",
		"four parts":             p.access + ".x",
		"empty":                  ".",
		"refresh token":          p.refresh,
	}
	for name, token := range cases {
		t.Run(name, func(t *testing.T) {
			a := call(t, 401, request{method: "GET", path: p.path(), bearer: token})
			if a.header.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate (RFC 9110, section 11.6.1)")
			}
		})
	}
	call(t, 401, request{method: "GET", path: p.path()})
	call(t, 401, request{method: "GET", path: p.path() + "?access_token=" + p.access})
	call(t, 200, request{method: "GET", path: p.path(), bearer: p.access})
}
