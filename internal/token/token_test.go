package token_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/token"
)

var start = time.Unix(1_800_000_000, 0).UTC()

func clock() time.Time { return start }

const (
	issuer   = "https://gatehouse.test"
	audience = "gatehouse"
)

// keys is a KeySource of fixed keys.
type keys map[string]token.Key

func (k keys) Key(_ context.Context, kid string) (token.Key, error) {
	if key, ok := k[kid]; ok {
		return key, nil
	}
	return token.Key{}, token.ErrUnknownKey
}

// nobody is a Revocations without one.
type nobody struct{}

func (nobody) Revoked(string) (bool, error) { return false, nil }

func edKey(t testing.TB, id string) token.SigningKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return token.SigningKey{ID: id, Algorithm: token.EdDSA, Signer: private}
}

func ecKey(t testing.TB, id string) token.SigningKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return token.SigningKey{ID: id, Algorithm: token.ES256, Signer: private}
}

func claims() token.Claims {
	return token.Claims{
		Issuer: issuer, Audience: []string{audience}, Subject: "user", ClientID: token.PlatformClient, SessionID: "session", OrganizationID: "org", ID: "id",
		IssuedAt: start, ExpiresAt: start.Add(10 * time.Minute),
	}
}

func verifier(k keys) *token.Verifier {
	return token.NewVerifier(token.Config{Issuer: issuer, Audience: audience}, k, nobody{}, clock)
}

func sign(t testing.TB, c token.Claims, k token.SigningKey) string {
	t.Helper()
	compact, err := token.Sign(c, k)
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// raw signs any header and payload with an Ed25519 key: what a careless or hostile issuer could write.
func raw(k token.SigningKey, header, payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(header)) + "." + encode([]byte(payload))
	return signed + "." + encode(ed25519.Sign(k.Signer.(ed25519.PrivateKey), []byte(signed)))
}

func wantReason(t *testing.T, err error, kind apierr.Kind, reason string) {
	t.Helper()
	var e *apierr.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Reason != reason {
		t.Errorf("error is %v, want %s", err, reason)
	}
}

func TestSignAndVerify(t *testing.T) {
	for _, k := range []token.SigningKey{edKey(t, "ed"), ecKey(t, "ec")} {
		for _, c := range []token.Claims{
			claims(),
			func() token.Claims { c := claims(); c.Audience = []string{"other", audience}; return c }(),
			func() token.Claims { c := claims(); c.NotBefore = start; return c }(),
			func() token.Claims { c := claims(); c.AuthTime = start.Add(-time.Hour); return c }(),
		} {
			got, err := verifier(keys{k.ID: k.Public()}).Verify(t.Context(), sign(t, c, k))
			if err != nil || fmt.Sprint(got) != fmt.Sprint(c) {
				t.Errorf("%s: claims are %+v, %v, want %+v", k.Algorithm, got, err, c)
			}
		}
	}
}

// While the issuer changes, tokens of the one of before and of the one to come are good, and no
// others.
func TestOtherIssuer(t *testing.T) {
	ed := edKey(t, "ed")
	config := token.Config{Issuer: issuer, Other: "https://gatehouse.local", Audience: audience}
	changing := token.NewVerifier(config, keys{"ed": ed.Public()}, nobody{}, clock)
	for from, good := range map[string]bool{issuer: true, config.Other: true, config.Other + "/": false, "https://id.example": false} {
		c := claims()
		c.Issuer = from
		compact := sign(t, c, ed)
		if _, err := changing.Verify(t.Context(), compact); (err == nil) != good {
			t.Errorf("a token of %s: %v", from, err)
		}
		if _, err := verifier(keys{"ed": ed.Public()}).Verify(t.Context(), compact); (err == nil) != (from == issuer) {
			t.Errorf("a token of %s when nothing changes: %v", from, err)
		}
	}
}

func TestSignRefusesWhatNobodyWouldAccept(t *testing.T) {
	good := edKey(t, "ed")
	for name, change := range map[string]func(*token.Claims, *token.SigningKey){
		"no subject":        func(c *token.Claims, _ *token.SigningKey) { c.Subject = "" },
		"no session":        func(c *token.Claims, _ *token.SigningKey) { c.SessionID = "" },
		"no audience":       func(c *token.Claims, _ *token.SigningKey) { c.Audience = nil },
		"empty audience":    func(c *token.Claims, _ *token.SigningKey) { c.Audience = []string{""} },
		"no expiry":         func(c *token.Claims, _ *token.SigningKey) { c.ExpiresAt = time.Time{} },
		"ends at the start": func(c *token.Claims, _ *token.SigningKey) { c.ExpiresAt = c.IssuedAt },
		"bad key id":        func(_ *token.Claims, k *token.SigningKey) { k.ID = "../key" },
		"other algorithm":   func(_ *token.Claims, k *token.SigningKey) { k.Algorithm = token.ES256 },
		"no signer":         func(_ *token.Claims, k *token.SigningKey) { k.Signer = nil },
	} {
		c, k := claims(), good
		change(&c, &k)
		if compact, err := token.Sign(c, k); err == nil {
			t.Errorf("%s: signed %s", name, compact)
		}
	}
}

// R41: one algorithm per key, exact case, nothing else.
func TestAlgorithms(t *testing.T) {
	ed, ec := edKey(t, "ed"), ecKey(t, "ec")
	v := verifier(keys{"ed": ed.Public(), "ec": ec.Public()})
	payload := decode(t, sign(t, claims(), ed), 1)
	encode := base64.RawURLEncoding.EncodeToString
	der, err := x509.MarshalPKIXPublicKey(ed.Public().Public)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := token.NewJWK(ed.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwkJSON, err := json.Marshal(jwk)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "HS256", "HS512", "RS256", "PS256", "ES384", "eddsa", "EDDSA", "Ed25519", "ES256"} {
		cases["Ed25519 signature under alg "+alg] = raw(ed, `{"alg":"`+alg+`","kid":"ed","typ":"at+jwt"}`, payload)
		cases["other key's kid under alg "+alg] = raw(ed, `{"alg":"`+alg+`","kid":"ec","typ":"at+jwt"}`, payload)
		unsigned := encode([]byte(`{"alg":"`+alg+`","kid":"ed","typ":"at+jwt"}`)) + "." + encode([]byte(payload)) + "."
		cases["no signature under alg "+alg] = unsigned
	}
	for form, secret := range map[string][]byte{
		"raw": ed.Public().Public.(ed25519.PublicKey), "DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWK": jwkJSON,
	} {
		for _, alg := range []string{"HS256", "EdDSA"} {
			signed := encode([]byte(`{"alg":"`+alg+`","kid":"ed","typ":"at+jwt"}`)) + "." + encode([]byte(payload))
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(signed))
			cases["HMAC with the public key as "+form+" under alg "+alg] = signed + "." + encode(mac.Sum(nil))
		}
	}
	for name, compact := range cases {
		_, err := v.Verify(t.Context(), compact)
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
		wantReason(t, err, apierr.Unauthenticated, apierr.InvalidToken().Reason)
	}
	// Keys that are bound to what nobody accepts verify nothing, whatever the source says.
	for _, k := range []token.Key{
		{ID: "ed", Algorithm: "none", Public: ed.Public().Public},
		{ID: "ed", Algorithm: "RS256", Public: rsaKey.Public()},
		{ID: "ed", Algorithm: token.ES256, Public: ed.Public().Public},
		{ID: "ed", Algorithm: token.EdDSA, Public: ec.Public().Public},
		{ID: "ed", Algorithm: token.EdDSA, Public: ed25519.PublicKey{}},
		{ID: "ed", Algorithm: token.EdDSA},
	} {
		_, err := verifier(keys{"ed": k}).Verify(t.Context(), sign(t, claims(), ed))
		wantReason(t, err, apierr.Unauthenticated, apierr.InvalidToken().Reason)
	}
}

func decode(t testing.TB, compact string, part int) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(compact, ".")[part])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// R42, R44: the header is exactly ours; nothing in it selects a key but kid.
func TestHeader(t *testing.T) {
	ed, own := edKey(t, "ed"), edKey(t, "own")
	v := verifier(keys{"ed": ed.Public()})
	payload := decode(t, sign(t, claims(), ed), 1)
	ownJWK, err := token.NewJWK(own.Public())
	if err != nil {
		t.Fatal(err)
	}
	ownJSON, err := json.Marshal(ownJWK)
	if err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]string{
		"typ":                   `{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}`,
		"typ in other case":     `{"alg":"EdDSA","kid":"ed","typ":"AT+JWT"}`,
		"typ as a whole":        `{"alg":"EdDSA","kid":"ed","typ":"application/at+jwt"}`,
		"blanks between tokens": " {\n\"alg\" : \"EdDSA\",\t\"kid\":\"ed\",\"typ\":\"at+jwt\"} ",
	} {
		if _, err := v.Verify(t.Context(), raw(ed, header, payload)); err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
	}
	for name, header := range refusedHeaders(ownJSON) {
		for _, k := range []token.SigningKey{ed, own} {
			_, err := v.Verify(t.Context(), raw(k, header, payload))
			if err == nil {
				t.Errorf("%s is accepted", name)
				continue
			}
			wantReason(t, err, apierr.Unauthenticated, apierr.InvalidToken().Reason)
		}
	}
}

func refusedHeaders(jwk []byte) map[string]string {
	return map[string]string{
		"no typ":               `{"alg":"EdDSA","kid":"ed"}`,
		"id token":             `{"alg":"EdDSA","kid":"ed","typ":"JWT"}`,
		"logout token":         `{"alg":"EdDSA","kid":"ed","typ":"logout+jwt"}`,
		"longer typ":           `{"alg":"EdDSA","kid":"ed","typ":"at+jwt2"}`,
		"typ not a string":     `{"alg":"EdDSA","kid":"ed","typ":["at+jwt"]}`,
		"no kid":               `{"alg":"EdDSA","typ":"at+jwt"}`,
		"kid not a string":     `{"alg":"EdDSA","kid":1,"typ":"at+jwt"}`,
		"kid null":             `{"alg":"EdDSA","kid":null,"typ":"at+jwt"}`,
		"kid with a path":      `{"alg":"EdDSA","kid":"../../dev/null","typ":"at+jwt"}`,
		"kid with SQL":         `{"alg":"EdDSA","kid":"x' union select 'a","typ":"at+jwt"}`,
		"kid with NUL":         `{"alg":"EdDSA","kid":"ed\u0000","typ":"at+jwt"}`,
		"kid of 5 kB":          `{"alg":"EdDSA","kid":"` + strings.Repeat("k", 5000) + `","typ":"at+jwt"}`,
		"kid of 10 kB":         `{"alg":"EdDSA","kid":"` + strings.Repeat("k", 10000) + `","typ":"at+jwt"}`,
		"unknown kid":          `{"alg":"EdDSA","kid":"de","typ":"at+jwt"}`,
		"jwk":                  `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","jwk":` + string(jwk) + `}`,
		"jku":                  `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","jku":"http://127.0.0.1:1/keys"}`,
		"x5u":                  `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","x5u":"http://127.0.0.1:1/keys"}`,
		"x5c":                  `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","x5c":["AAAA"]}`,
		"crit":                 `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","crit":["exp"],"exp":1}`,
		"empty crit":           `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","crit":[]}`,
		"b64":                  `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","b64":false,"crit":["b64"]}`,
		"b64 alone":            `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","b64":false}`,
		"zip":                  `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","zip":"DEF"}`,
		"alg twice":            `{"alg":"none","alg":"EdDSA","kid":"ed","typ":"at+jwt"}`,
		"alg twice, escaped":   `{"alg":"none","\u0061lg":"EdDSA","kid":"ed","typ":"at+jwt"}`,
		"alg in other case":    `{"ALG":"EdDSA","kid":"ed","typ":"at+jwt"}`,
		"both cases":           `{"alg":"EdDSA","Alg":"none","kid":"ed","typ":"at+jwt"}`,
		"array":                `["EdDSA"]`,
		"something after":      `{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}{}`,
		"not closed":           `{"alg":"EdDSA","kid":"ed","typ":"at+jwt"`,
		"broken UTF-8":         "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"typ\":\"at+jwt\xff\"}",
		"member without value": `{"alg":"EdDSA","kid":"ed","typ"}`,
	}
}

// R42, R43, R45: every claim is required, has its type and comes once.
func TestClaims(t *testing.T) {
	ed := edKey(t, "ed")
	v := verifier(keys{"ed": ed.Public()})
	now := start.Unix()
	base := map[string]string{
		"iss": `"` + issuer + `"`, "aud": `"gatehouse"`, "sub": `"user"`, "client_id": `"gatehouse"`, "sid": `"session"`, "org": `"org"`, "jti": `"id"`,
		"iat": fmt.Sprint(now), "exp": fmt.Sprint(now + 600),
	}
	payload := func(changes ...string) string {
		all := maps.Clone(base)
		for i := 0; i < len(changes); i += 2 {
			all[changes[i]] = changes[i+1]
		}
		var members []string
		for name, value := range all {
			if value != "" {
				members = append(members, fmt.Sprintf("%q:%s", name, value))
			}
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	header := `{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}`
	accepted := [][]string{
		nil,
		{"aud", `["x","gatehouse"]`},
		{"iat", fmt.Sprint(now + 5)},
		{"nbf", fmt.Sprint(now + 5)},
		{"iat", fmt.Sprint(now - 600), "exp", fmt.Sprint(now - 4)},
		{"scope", `"openid gatehouse"`},
		{"auth_time", fmt.Sprint(now - 86400)},
	}
	for _, changes := range accepted {
		if _, err := v.Verify(t.Context(), raw(ed, header, payload(changes...))); err != nil {
			t.Errorf("%v is refused: %v", changes, err)
		}
	}
	refused := refusedClaims(now)
	for name := range base {
		refused = append(refused, []string{name, ""}, []string{name, `""`}, []string{strings.ToUpper(name), base[name], name, ""})
	}
	for _, changes := range refused {
		_, err := v.Verify(t.Context(), raw(ed, header, payload(changes...)))
		if err == nil {
			t.Errorf("%v is accepted", changes)
			continue
		}
		wantReason(t, err, apierr.Unauthenticated, apierr.InvalidToken().Reason)
	}
	twice := strings.TrimSuffix(payload(), "}") + `,"sub":"root"}`
	_, err := v.Verify(t.Context(), raw(ed, header, twice))
	wantReason(t, err, apierr.Unauthenticated, apierr.InvalidToken().Reason)
	_, err = v.Verify(t.Context(), raw(ed, header, payload("iat", fmt.Sprint(now-600), "exp", fmt.Sprint(now-5))))
	wantReason(t, err, apierr.Unauthenticated, apierr.TokenExpired().Reason)
}

func refusedClaims(now int64) [][]string {
	return [][]string{
		{"iss", `"https://gatehouse.test/"`},
		{"iss", `"HTTPS://gatehouse.test"`},
		{"iss", `["https://gatehouse.test"]`},
		{"aud", `"gatehouse2"`},
		{"aud", `["x"]`},
		{"aud", `[]`},
		{"aud", `[["gatehouse"]]`},
		{"aud", `{"gatehouse":1}`},
		{"aud", `null`},
		{"sub", `1`},
		{"sub", `null`},
		{"sid", `"` + strings.Repeat("s", 1000) + `"`},
		{"exp", fmt.Sprintf("%q", fmt.Sprint(now+600))},
		{"exp", fmt.Sprintf("%d.5", now+600)},
		{"exp", fmt.Sprintf("%d.0", now+600)},
		{"exp", "1e12"},
		{"exp", "99999999999999"},
		{"exp", "1" + strings.Repeat("0", 30)},
		{"exp", "-1"},
		{"exp", "0"},
		{"exp", "null"},
		{"exp", "true"},
		{"exp", fmt.Sprint(now)},
		{"iat", fmt.Sprint(now + 6)},
		{"iat", fmt.Sprintf("%q", fmt.Sprint(now))},
		{"nbf", fmt.Sprint(now + 6)},
		{"nbf", `"now"`},
		{"nbf", `null`},
		{"auth_time", `null`},
		{"auth_time", fmt.Sprintf("%q", fmt.Sprint(now))},
		{"auth_time", fmt.Sprintf("%d.5", now)},
		{"auth_time", "0"},
		{"scope", `""`},
		{"scope", `"gatehouse "`},
		{"scope", `"openid  gatehouse"`},
		{"scope", `"gatehouse\topenid"`},
		{"scope", `["gatehouse"]`},
		{"scope", `null`},
	}
}

// R45: only the compact form.
func TestCompactForm(t *testing.T) {
	ed := edKey(t, "ed")
	v := verifier(keys{"ed": ed.Public()})
	good := sign(t, claims(), ed)
	p := strings.Split(good, ".")
	// The last character of a 64-byte signature carries four bits of nothing.
	bits := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(bits, good[len(good)-1])
	for name, compact := range map[string]string{
		"empty":             "",
		"two parts":         p[0] + "." + p[1],
		"four parts":        good + "." + p[2],
		"JWE":               good + "." + p[1] + "." + p[2],
		"empty signature":   p[0] + "." + p[1] + ".",
		"empty payload":     p[0] + ".." + p[2],
		"padding":           good + "==",
		"leading blank":     " " + good,
		"trailing newline":  good + "\n",
		"newline inside":    p[0] + "\n." + p[1] + "." + p[2],
		"standard alphabet": p[0] + "." + p[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(p[2]) + "+",
		"trailing bits":     good[:len(good)-1] + string(bits[last^1]),
		"JSON form":         `{"protected":"` + p[0] + `","payload":"` + p[1] + `","signature":"` + p[2] + `"}`,
		"bearer twice":      "Bearer " + good,
		"very long":         p[0] + "." + strings.Repeat("A", 1<<20) + "." + p[2],
		"short signature":   p[0] + "." + p[1] + "." + p[2][:40],
		"changed payload":   p[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(decode(t, good, 1), `"user"`, `"root"`, 1))) + "." + p[2],
	} {
		_, err := v.Verify(t.Context(), compact)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantReason(t, err, apierr.Unauthenticated, apierr.InvalidToken().Reason)
		if len(compact) > 20 && strings.Contains(err.Error(), p[2]) {
			t.Errorf("%s: the error repeats the token", name)
		}
	}
}

// failing is a KeySource and Revocations that know nothing.
type failing struct{}

func (failing) Key(context.Context, string) (token.Key, error) {
	return token.Key{}, errors.New("down")
}
func (failing) Revoked(string) (bool, error) { return false, errors.New("silent") }

// R62: what cannot be decided is not an allow.
func TestUndecidable(t *testing.T) {
	ed := edKey(t, "ed")
	config := token.Config{Issuer: issuer, Audience: audience}
	_, err := token.NewVerifier(config, failing{}, nobody{}, clock).Verify(t.Context(), sign(t, claims(), ed))
	wantReason(t, err, apierr.Unavailable, apierr.KeysUnavailable().Reason)
	_, err = token.NewVerifier(config, keys{"ed": ed.Public()}, failing{}, clock).Verify(t.Context(), sign(t, claims(), ed))
	wantReason(t, err, apierr.Unavailable, apierr.RevocationsStale().Reason)
	// A bad token is told so even then: it needs no revocation list.
	_, err = token.NewVerifier(config, keys{"ed": ed.Public()}, failing{}, clock).Verify(t.Context(), sign(t, claims(), edKey(t, "ed")))
	wantReason(t, err, apierr.Unauthenticated, apierr.InvalidToken().Reason)
}

func FuzzVerify(f *testing.F) {
	ed := edKey(f, "ed")
	v := verifier(keys{"ed": ed.Public()})
	good := sign(f, claims(), ed)
	f.Add(good)
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(raw(ed, `{"alg":"EdDSA","kid":"ed","typ":"at+jwt","crit":[]}`, `{"exp":1e400}`))
	f.Fuzz(func(t *testing.T, compact string) {
		if _, err := v.Verify(t.Context(), compact); err == nil && compact != good {
			t.Errorf("accepted %q", compact)
		}
	})
}

// The parsers behind the signature check, as a compromised or careless issuer would reach them.
func FuzzVerifySigned(f *testing.F) {
	ed := edKey(f, "ed")
	v := verifier(keys{"ed": ed.Public()})
	good := sign(f, claims(), ed)
	f.Add(decode(f, good, 0), decode(f, good, 1))
	f.Add(`{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}`, `{"aud":[],"exp":1,"exp":2}`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		c, err := v.Verify(t.Context(), raw(ed, header, payload))
		if err == nil && (c.Issuer != issuer || c.Subject == "" || c.SessionID == "" || !c.ExpiresAt.After(start.Add(-token.Leeway))) {
			t.Errorf("accepted %q.%q as %+v", header, payload, c)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	ed := edKey(b, "ed")
	v := verifier(keys{"ed": ed.Public()})
	good := sign(b, claims(), ed)
	for b.Loop() {
		if _, err := v.Verify(b.Context(), good); err != nil {
			b.Fatal(err)
		}
	}
}
