package app_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/token"
)

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// forge signs a header and claims as they are given, whatever they say.
func forge(header, claims string, sign func(input []byte) []byte) string {
	input := b64(header) + "." + b64(claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(input)))
}

// forgeries are a valid token of a user, the same one expired, and what is none.
func forgeries(t *testing.T, r *running, id string) (valid, expired string, forged map[string]string) {
	t.Helper()
	real, ok := r.Tokens.Key.Signer.(ed25519.PrivateKey)
	if !ok {
		t.Fatal("the issuer does not sign with Ed25519")
	}
	public, _ := real.Public().(ed25519.PublicKey)
	_, foreign, _ := ed25519.GenerateKey(rand.Reader)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	good := func(input []byte) []byte { return ed25519.Sign(real, input) }
	bad := func(input []byte) []byte { return ed25519.Sign(foreign, input) }
	now := time.Now().Unix()
	claims := fmt.Sprintf(`{"iss":%q,"aud":[%q],"sub":%q,"client_id":"gatehouse","sid":"s","org":"o","jti":"j","iat":%d,"exp":%d}`,
		grpctest.Issuer, grpctest.Audience, id, now, now+600)
	header := `{"alg":"EdDSA","typ":"at+jwt","kid":"test"}`
	alg := func(name string) string { return strings.Replace(header, "EdDSA", name, 1) }
	with := func(member string) string { return strings.Replace(header, "{", "{"+member+",", 1) }
	claim := func(old, new string) string { return strings.Replace(claims, old, new, 1) }
	ecKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	es256, err := token.Sign(r.Tokens.Claims(id), token.SigningKey{ID: "test", Algorithm: token.ES256, Signer: ecKey})
	if err != nil {
		t.Fatal(err)
	}
	valid = forge(header, claims, good)
	expired = forge(header, claim(fmt.Sprintf(`"iat":%d,"exp":%d`, now, now+600), fmt.Sprintf(`"iat":%d,"exp":%d`, now-700, now-100)), good)
	forged = map[string]string{
		"alg none":              forge(alg("none"), claims, func([]byte) []byte { return nil }), // R41
		"alg nOnE":              forge(alg("nOnE"), claims, func([]byte) []byte { return nil }),
		"none with a signature": forge(alg("none"), claims, good),
		"HS256, raw key":        forge(alg("HS256"), claims, hs256(public)),
		"HS256, DER key":        forge(alg("HS256"), claims, hs256(der)),
		"HS256, PEM key":        forge(alg("HS256"), claims, hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))),
		"alg in lower case":     forge(alg("eddsa"), claims, good),
		"other alg, right key":  forge(alg("ES256"), claims, good),
		"other alg, other key":  es256,
		"foreign key":           forge(header, claims, bad),
		"unknown kid":           forge(strings.Replace(header, `"test"`, `"other"`, 1), claims, bad),
		"no kid":                forge(`{"alg":"EdDSA","typ":"at+jwt"}`, claims, good),
		"kid is a path":         forge(strings.Replace(header, `"test"`, `"../../etc/passwd"`, 1), claims, bad), // R44
		"kid is SQL":            forge(strings.Replace(header, `"test"`, `"' or 1=1 --"`, 1), claims, bad),
		"kid of 5 kB":           forge(strings.Replace(header, "test", strings.Repeat("k", 5000), 1), claims, bad),
		"jwk":                   forge(with(`"jwk":{"kty":"OKP","crv":"Ed25519","x":"`+base64.RawURLEncoding.EncodeToString(foreign.Public().(ed25519.PublicKey))+`"}`), claims, bad),
		"jku":                   forge(with(`"jku":"http://127.0.0.1:1/"`), claims, good),
		"x5u":                   forge(with(`"x5u":"http://127.0.0.1:1/"`), claims, good),
		"crit":                  forge(with(`"crit":["x"],"x":1`), claims, good),
		"b64 false":             forge(with(`"b64":false,"crit":["b64"]`), claims, good),
		"typ JWT":               forge(strings.Replace(header, "at+jwt", "JWT", 1), claims, good), // R42
		"typ logout+jwt":        forge(strings.Replace(header, "at+jwt", "logout+jwt", 1), claims, good),
		"no typ":                forge(`{"alg":"EdDSA","kid":"test"}`, claims, good),
		"no jti":                forge(header, claim(`"jti":"j",`, ""), good),
		"no sub":                forge(header, claim(fmt.Sprintf(`"sub":%q,`, id), ""), good),
		"no client_id":          forge(header, claim(`"client_id":"gatehouse",`, ""), good),
		"no exp":                forge(header, claim(fmt.Sprintf(`,"exp":%d`, now+600), ""), good), // R43
		"exp is a string":       forge(header, claim(fmt.Sprintf(`"exp":%d`, now+600), fmt.Sprintf(`"exp":"%d"`, now+600)), good),
		"exp is negative":       forge(header, claim(fmt.Sprintf(`"exp":%d`, now+600), `"exp":-1`), good),
		"exp is huge":           forge(header, claim(fmt.Sprintf(`"exp":%d`, now+600), `"exp":1e300`), good),
		"other issuer":          forge(header, claim(grpctest.Issuer, grpctest.Issuer+"/"), good),
		"other audience":        forge(header, claim(`["gatehouse"]`, `["gatehous"]`), good),
		"issued in the future":  forge(header, claim(fmt.Sprintf(`"iat":%d`, now), fmt.Sprintf(`"iat":%d`, now+300)), good),
		"duplicate claim":       forge(header, claim(`"jti":"j"`, `"jti":"j","jti":"k"`), good), // R45
		"duplicate header":      forge(with(`"typ":"at+jwt"`), claims, good),
	}
	maps.Copy(forged, deformed(valid, claims))
	return valid, expired, forged
}

// deformed are texts that are not tokens, most of them made of one.
func deformed(valid, claims string) map[string]string {
	return map[string]string{
		"padded":                 valid + "=",
		"two parts":              valid[:strings.LastIndex(valid, ".")],
		"empty signature":        valid[:strings.LastIndex(valid, ".")+1],
		"four parts":             valid + ".x",
		"five parts":             "a.b.c.d.e",
		"space inside":           strings.Replace(valid, ".", ". ", 1),
		"JSON form":              `{"payload":"` + b64(claims) + `","signatures":[]}`,
		"trailing bits":          valid[:len(valid)-1] + string(valid[len(valid)-1]+1),
		"changed payload":        valid[:20] + "A" + valid[21:],
		"not a token":            "refresh",
		"two tokens":             valid + "," + valid,
		"the token of something": b64("user:password"),
	}
}

// hs256 signs with a secret, such as a public key that a careless verifier takes for one.
func hs256(secret []byte) func([]byte) []byte {
	return func(input []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(input)
		return mac.Sum(nil)
	}
}

// R41 to R46: none of these is a token, and each is told apart from nothing: 401, INVALID_TOKEN, one challenge.
func TestForgedTokens(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	path := "/api/v1/users/" + id
	valid, expired, forged := forgeries(t, r, id)
	if a := r.do(request{path: path, bearer: valid}); a.status != http.StatusOK {
		t.Fatalf("the control is refused: %d %s", a.status, a.body)
	}
	for name, compact := range forged {
		t.Run(name, func(t *testing.T) {
			a := r.do(request{path: path, bearer: compact})
			if a.status != http.StatusUnauthorized || document(t, a).Reason != "INVALID_TOKEN" {
				t.Fatalf("status %d: %s", a.status, a.body)
			}
			if got := a.header.Values("WWW-Authenticate"); len(got) != 1 || got[0] != `Bearer realm="gatehouse", error="invalid_token"` {
				t.Errorf("challenge %q", got)
			}
		})
	}
	if p := r.refused(http.StatusUnauthorized, request{path: path, bearer: expired}); p.Reason != "TOKEN_EXPIRED" {
		t.Errorf("expired: %+v", p)
	}
	if calls := r.Users.Calls(); calls != 1 {
		t.Errorf("%d calls reached the service, only the control should", calls)
	}
}

// R49 and RFC 6750: the token comes in exactly one Authorization header, with the Bearer scheme.
func TestWhereTheTokenIsRead(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	path, compact := "/api/v1/users/"+id, r.bearer(id)
	for name, c := range map[string]struct {
		header string
		status int
	}{
		"Bearer": {"Bearer " + compact, 200}, "bearer": {"bearer " + compact, 200}, "BEARER": {"BEARER " + compact, 200},
		"Basic": {"Basic " + compact, 401}, "DPoP": {"DPoP " + compact, 401}, "no scheme": {compact, 401}, "scheme alone": {"Bearer", 401},
		"tab": {"Bearer\t" + compact, 401}, "two spaces": {"Bearer  " + compact, 401},
	} {
		if a := r.do(request{path: path, header: map[string]string{"Authorization": c.header}}); a.status != c.status {
			t.Errorf("%s: status %d, want %d", name, a.status, c.status)
		}
	}
	two, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	two.Header["Authorization"] = []string{"Bearer " + compact, "Bearer " + compact}
	resp, err := http.DefaultClient.Do(two)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("two Authorization headers: status %d", resp.StatusCode)
	}
	if a := r.do(request{path: path, header: map[string]string{"Cookie": "access_token=" + compact}}); a.status != http.StatusUnauthorized {
		t.Errorf("token in a cookie: %d", a.status)
	}
}

// A public route does not look at a bearer token, good or bad.
func TestPublicRoutesIgnoreTokens(t *testing.T) {
	r := start(t, nil)
	for _, header := range []string{"Bearer nonsense", "Basic x", "Bearer " + r.bearer("x")} {
		a := r.do(request{method: "POST", path: "/api/v1/auth/sign-in", body: `{"email":"x","password":"x"}`, header: map[string]string{"Authorization": header}})
		if a.status != http.StatusUnauthorized || document(t, a).Reason != "INVALID_CREDENTIALS" {
			t.Errorf("%s: %d %s", header, a.status, a.body)
		}
	}
}

// R22: a session that ended is refused at the gateway within 5 s; R62: a feed that fell silent refuses everybody, never admits.
func TestRevocationFeed(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	path := "/api/v1/users/" + id
	ended, other := r.Tokens.Claims(id), r.bearer(id)
	bearer := r.Tokens.Sign(ended)
	if a := r.do(request{path: path, bearer: bearer}); a.status != http.StatusOK {
		t.Fatalf("before: %d %s", a.status, a.body)
	}
	began := time.Now()
	if a := r.do(request{method: "POST", path: "/api/v1/auth/sign-out", bearer: bearer}); a.status != http.StatusNoContent {
		t.Fatalf("sign-out: %d %s", a.status, a.body)
	}
	check.Eventually(t, "the ended session to be refused", func() bool {
		return r.do(request{path: path, bearer: bearer}).status == http.StatusUnauthorized
	})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the ended session was admitted for %s", took)
	}
	if p := r.refused(http.StatusUnauthorized, request{path: path, bearer: bearer}); p.Reason != "TOKEN_REVOKED" {
		t.Errorf("ended session: %+v", p)
	}
	if a := r.do(request{path: path, bearer: other}); a.status != http.StatusOK {
		t.Errorf("another session of the user: %d", a.status)
	}
	r.Auth.Silence(true)
	check.Eventually(t, "the silent feed to refuse", func() bool {
		return r.do(request{path: path, bearer: other}).status == http.StatusServiceUnavailable
	})
	if p := r.refused(http.StatusServiceUnavailable, request{path: path, bearer: other}); p.Reason != "REVOCATIONS_STALE" {
		t.Errorf("silent feed: %+v", p)
	}
	if a := r.do(request{path: "/readyz"}); a.status != http.StatusOK {
		t.Errorf("a silent feed is the request's 503, not the gateway's health: %d", a.status)
	}
	r.Auth.Silence(false)
	check.Eventually(t, "the feed to be believed again", func() bool {
		return r.do(request{path: path, bearer: other}).status == http.StatusOK
	})
}
