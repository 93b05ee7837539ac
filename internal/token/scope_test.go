package token_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/token"
)

// R42: what a token of this issuer is good for. Whoever a client's token is for, on the platform's
// own API it is worth nothing without the platform's scope; the issuer's own endpoints take it.
func TestScopes(t *testing.T) {
	ed := edKey(t, "ed")
	v := verifier(keys{"ed": ed.Public()})
	for name, c := range map[string]struct {
		audience []string
		client   string
		scope    string
		good     bool
	}{
		"the platform's own sign-in":                  {[]string{audience}, "gatehouse", "gatehouse", true},
		"the same, of 0.1.0":                          {[]string{audience}, "gatehouse", "", true},
		"the same, with another scope":                {[]string{audience}, "gatehouse", "openid", false},
		"a client that was granted it":                {[]string{issuer, "shop", audience}, "shop", "openid gatehouse email", true},
		"a client":                                    {[]string{issuer, "shop"}, "shop", "openid email", false},
		"a client with the scope, not for the API":    {[]string{issuer, "shop"}, "shop", "openid gatehouse", false},
		"a client with the audience alone":            {[]string{issuer, audience}, "shop", "openid", false},
		"a client with the audience, without a scope": {[]string{audience}, "shop", "", false},
		"a scope that only looks like it":             {[]string{audience}, "shop", "gatehouse2 xgatehouse gatehouse.read", false},
		"another case":                                {[]string{audience}, "shop", "Gatehouse", false},
	} {
		t.Run(name, func(t *testing.T) {
			want := claims()
			want.Audience, want.ClientID, want.Scope = c.audience, c.client, c.scope
			compact := sign(t, want, ed)
			for range 2 { // once as a new token, once as one that is remembered
				if got, err := v.VerifyIssued(t.Context(), compact); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("as issued: %+v, %v, want %+v", got, err, want)
				}
				_, err := v.Verify(t.Context(), compact)
				if c.good && err != nil {
					t.Errorf("on the API: %v", err)
				}
				if !c.good {
					wantReason(t, err, apierr.Unauthenticated, apierr.InvalidToken().Reason)
				}
			}
		})
	}
}

// What is no access token of this issuer is refused whatever it is asked for: an ID token has
// another key and another type (R42).
func TestVerifyIssuedRefusesWhatVerifyDoes(t *testing.T) {
	ed, ids := edKey(t, "ed"), edKey(t, "id-tokens")
	v := verifier(keys{"ed": ed.Public()})
	payload := `{"iss":"` + issuer + `","aud":["gatehouse"],"sub":"u","client_id":"gatehouse","sid":"s","org":"o","jti":"j","scope":"gatehouse",` +
		fmt.Sprintf(`"iat":%d,"exp":%d}`, start.Unix(), start.Unix()+600)
	for name, compact := range map[string]string{
		"an ID token":            raw(ids, `{"alg":"EdDSA","kid":"id-tokens","typ":"JWT"}`, payload),
		"one with its type only": raw(ed, `{"alg":"EdDSA","kid":"ed","typ":"JWT"}`, payload),
		"one with its key only":  raw(ids, `{"alg":"EdDSA","kid":"id-tokens","typ":"at+jwt"}`, payload),
		"of another issuer":      raw(ed, `{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}`, strings.Replace(payload, issuer, "https://x", 1)),
		"without a client":       raw(ed, `{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}`, strings.Replace(payload, `"client_id":"gatehouse",`, "", 1)),
	} {
		for what, verify := range map[string]func() error{
			"issued": func() error { _, err := v.VerifyIssued(t.Context(), compact); return err },
			"API":    func() error { _, err := v.Verify(t.Context(), compact); return err },
		} {
			if err := verify(); err == nil {
				t.Errorf("%s is accepted (%s)", name, what)
			}
		}
	}
}

// A token that 0.1.0 made, as it was made there.
const (
	of010 = "eyJhbGciOiJFZERTQSIsImtpZCI6Im9mLTAtMS0wIiwidHlwIjoiYXQrand0In0." +
		"eyJhdWQiOiJnYXRlaG91c2UiLCJjbGllbnRfaWQiOiJnYXRlaG91c2UiLCJleHAiOjE4MDAwMDA2MDAsImlhdCI6MTgwMDAwMDAwMCwiaXNzIjoiaHR0cHM6Ly9nYXRlaG91" +
		"c2UudGVzdCIsImp0aSI6IjBiN2MxYzNlLTVhNTItNGE1Mi05ZjUyLTJkNmY2YzFkN2ExMiIsIm9yZyI6IjBiN2MxYzNlLTVhNTItNGE1Mi05ZjUyLTJkNmY2YzFkN2ExMSIs" +
		"InNpZCI6IjBiN2MxYzNlLTVhNTItNGE1Mi05ZjUyLTJkNmY2YzFkN2ExMCIsInN1YiI6IjZmMWM1ZjBlLTdkN2EtNGE1My05YTU1LTBkMGM3ZDZmM2ExMSJ9." +
		"uVqbxGAlbP1D2E2BTunqNFRTrI2j0arAD4O-Lhz_qpb01hwX2X_5KXeLyn5X7Vo45PvJ_WxIy6mlLxpm_Va0Bw"
	keyOf010 = `{"kty":"OKP","use":"sig","alg":"EdDSA","kid":"of-0-1-0","crv":"Ed25519","x":"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik"}`
)

func TestTokensOf010AreGood(t *testing.T) {
	var j token.JWK
	if err := json.Unmarshal([]byte(keyOf010), &j); err != nil {
		t.Fatal(err)
	}
	key, err := j.Key()
	if err != nil {
		t.Fatal(err)
	}
	got, err := verifier(keys{key.ID: key}).Verify(t.Context(), of010)
	if err != nil || got.Scope != "" || got.ClientID != token.PlatformClient {
		t.Fatalf("claims are %+v, %v", got, err)
	}
}

// verifyAs010 is what the verifier of 0.1.0 demands of a token, beside its times: three header
// members and no more, its claims, and the platform's audience. It knows no scope.
func verifyAs010(compact string, key ed25519.PublicKey) error {
	parts := strings.Split(compact, ".")
	decode := base64.RawURLEncoding.Strict()
	signature, err := decode.DecodeString(parts[2])
	if err != nil || !ed25519.Verify(key, []byte(parts[0]+"."+parts[1]), signature) {
		return fmt.Errorf("signature: %w", err)
	}
	var header, claims map[string]any
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := decode.DecodeString(parts[i])
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, into); err != nil {
			return err
		}
	}
	if len(header) != 3 || header["alg"] != "EdDSA" || header["typ"] != "at+jwt" || header["kid"] == "" {
		return fmt.Errorf("header %v", header)
	}
	for _, name := range []string{"iss", "sub", "client_id", "sid", "org", "jti"} {
		if text, ok := claims[name].(string); !ok || text == "" || len(text) > 512 {
			return fmt.Errorf("claim %s is %v", name, claims[name])
		}
	}
	if list, ok := claims["aud"].([]any); claims["aud"] != audience && (!ok || !slices.Contains(list, any(audience))) {
		return fmt.Errorf("claim aud is %v", claims["aud"])
	}
	return nil
}

// Instances of 0.1.0 run beside new ones: they take what the platform's own sign-in and a client
// with its scope hand out, and nothing that a client without it has.
func TestTheVerifierOf010TakesTodaysTokens(t *testing.T) {
	ed := edKey(t, "ed")
	public, _ := ed.Public().Public.(ed25519.PublicKey)
	for name, c := range map[string]struct {
		audience []string
		client   string
		scope    string
		good     bool
	}{
		"the platform's own sign-in":   {[]string{audience}, token.PlatformClient, token.PlatformScope, true},
		"a client that was granted it": {[]string{issuer, audience}, "shop", "openid gatehouse", true},
		"a client":                     {[]string{issuer, "shop"}, "shop", "openid", false},
	} {
		all := claims()
		all.Audience, all.ClientID, all.Scope = c.audience, c.client, c.scope
		if err := verifyAs010(sign(t, all, ed), public); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
