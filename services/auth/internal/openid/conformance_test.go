package openid_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

// The modules of the OpenID Foundation's plan for Basic OPs, oidcc-basic-certification-test-plan, by
// hand and in its order. Each request has a challenge, which this provider requires and the suite
// sends in the last module only.
func TestBasicConformance(t *testing.T) { // R40
	s := newSuite(t)
	for _, module := range []struct {
		name string
		run  func(*suite, *testing.T)
	}{
		{"oidcc-server", (*suite).server},
		{"oidcc-response-type-missing", refused("invalid_request", "response_type", "")},
		{"oidcc-idtoken-signature", (*suite).signature},
		{"oidcc-idtoken-unsigned", (*suite).unsigned},
		{"oidcc-userinfo-get", func(s *suite, t *testing.T) {
			s.userinfo(t, http.MethodGet, func(string) string { return "" }, bearer)
		}},
		{"oidcc-userinfo-post-header", func(s *suite, t *testing.T) {
			s.userinfo(t, http.MethodPost, func(string) string { return "" }, bearer)
		}},
		{"oidcc-userinfo-post-body", func(s *suite, t *testing.T) {
			s.userinfo(t, http.MethodPost, func(access string) string { return "access_token=" + access }, func(string) func(*http.Request) { return form })
		}},
		{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", granted("nonce", "")},
		{"oidcc-scope-profile", scope("openid profile", "openid profile", "org", "updated_at")},
		{"oidcc-scope-email", scope("openid email", "openid email", "email", "email_verified")},
		{"oidcc-scope-address", scope("openid address", "openid")}, // not offered: left out, as RFC 6749, section 3.3, has it
		{"oidcc-scope-phone", scope("openid phone", "openid")},     // the same
		{"oidcc-scope-all", scope("openid email phone address profile", "openid email profile", "email", "email_verified", "org", "updated_at")},
		{"oidcc-ensure-other-scope-order-succeeds", scope("email openid", "email openid", "email", "email_verified")},
		{"oidcc-display-page", granted("display", "page")},
		{"oidcc-display-popup", granted("display", "popup")},
		{"oidcc-prompt-login", again(time.Second, "prompt", "login")},
		{"oidcc-prompt-none-not-logged-in", (*suite).nobody},
		{"oidcc-prompt-none-logged-in", same("prompt", "none")},
		{"oidcc-max-age-1", again(2*time.Second, "max_age", "1")},
		{"oidcc-max-age-10000", same("max_age", "10000")},
		{"oidcc-ensure-request-with-unknown-parameter-succeeds", granted("extra", "foobar")},
		{"oidcc-id-token-hint", (*suite).hinted},
		{"oidcc-login-hint", granted("login_hint", "somebody@example.com")},
		{"oidcc-ui-locales", granted("ui_locales", "se")},
		{"oidcc-claims-locales", granted("claims_locales", "se")},
		{"oidcc-ensure-request-with-acr-values-succeeds", granted("acr_values", "1 2")},
		{"oidcc-codereuse", reused(0)},
		{"oidcc-codereuse-30seconds", reused(30 * time.Second)},
		{"oidcc-ensure-registered-redirect-uri", nowhere("redirect_uri", callback+"/random")},
		{"oidcc-ensure-post-request-succeeds", (*suite).byPost},
		{"oidcc-server-client-secret-post", (*suite).secretPost},
		{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", refused("request_uri_not_supported", "request_uri", "https://app.example/request")},
		{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", refused("request_not_supported", "request", requestObject)},
		{"oidcc-claims-essential", granted("claims", `{"userinfo":{"name":{"essential":true}}}`)},
		{"oidcc-ensure-request-object-with-redirect-uri", nowhere("redirect_uri", callback+"/random", "request", requestObject)},
		{"oidcc-refresh-token", (*suite).refreshes},
		{"oidcc-ensure-request-with-valid-pkce-succeeds", (*suite).challenged},
	} {
		t.Run(module.name, func(t *testing.T) {
			s.cookie = s.signIn(t, s.userID)
			s.later(t, 0)
			module.run(s, t)
		})
	}
}

// requestObject says where the answer should go, with nobody's signature: {"alg":"none"} and
// {"redirect_uri":"https://app.example/callback"}.
const requestObject = "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2FwcC5leGFtcGxlL2NhbGxiYWNrIn0."

// suite is the client of the modules, the world's other backend, which is signed for with RS256.
type suite struct {
	*published
	provider *oidc.Provider
	ctx      context.Context
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{published: publish(t)}
	s.ctx = oidc.ClientContext(t.Context(), s.published.client)
	var err error
	if s.provider, err = oidc.NewProvider(s.ctx, s.published.issuer); err != nil {
		t.Fatal(err)
	}
	return s
}

// later moves the clock.
func (s *suite) later(t *testing.T, by time.Duration) {
	t.Helper()
	s.now = s.now.Add(by)
	s.refresh(t)
}

// link is a good request, changed by pairs.
func (s *suite) link(pairs ...string) string {
	query := with(s.asks("client_id", s.other.ID), pairs...)
	return s.published.issuer + openid.AuthorizePath + "?" + query.Encode()
}

// outcome is what a client has when somebody has signed in.
type outcome struct {
	answer
	id     *oidc.IDToken
	claims answer
	header answer
}

// signedIn opens a link, and checks what the suite checks of every flow: the answer to the browser,
// that of the token endpoint, the ID token, and UserInfo.
func (s *suite) signedIn(t *testing.T, link string) outcome {
	t.Helper()
	r, told := post(t, s.Token, s.code(t, link), basic(s.other.ID, "secret"))
	if r.StatusCode != http.StatusOK || told["token_type"] != "Bearer" || told["expires_in"] != 600.0 {
		t.Fatalf("%d %v", r.StatusCode, told)
	}
	return s.checked(t, told)
}

// code opens a link, and returns the form that redeems the code with which the browser comes back.
func (s *suite) code(t *testing.T, link string) url.Values {
	t.Helper()
	back := s.visit(t, link)
	q := back.Query()
	if !strings.HasPrefix(back.String(), callback+"?") || q.Get("state") != "s t" || q.Get("iss") != s.published.issuer || len(q.Get("code")) < 22 || q.Has("error") {
		t.Fatalf("sent to %s", back)
	}
	return redeems(q.Get("code"), "client_id", "")
}

func (s *suite) checked(t *testing.T, told answer) outcome {
	t.Helper()
	o := outcome{answer: told}
	tokens := (&oauth2.Token{AccessToken: told.text("access_token")}).WithExtra(map[string]any(told))
	o.id = s.verified(s.ctx, t, s.provider, s.other, tokens)
	head, _, _ := strings.Cut(told.text("id_token"), ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil || json.Unmarshal(text, &o.header) != nil || o.id.Claims(&o.claims) != nil {
		t.Fatalf("the ID token %s: %v", told.text("id_token"), err)
	}
	if r, info := s.tells(t, http.MethodGet, "", "", bearer(told.text("access_token"))); r.StatusCode != http.StatusOK || info["sub"] != o.id.Subject {
		t.Errorf("userinfo is %d %v", r.StatusCode, info)
	}
	return o
}

func (s *suite) server(t *testing.T) {
	o := s.signedIn(t, s.link("scope", "openid"))
	want := []string{"amr", "at_hash", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sub"} // and none that was not asked for
	if got := slices.Sorted(maps.Keys(o.claims)); !slices.Equal(got, want) || o.id.Nonce != "n" {
		t.Errorf("the ID token says %v, want %v", o.claims, want)
	}
}

func (s *suite) signature(t *testing.T) {
	o := s.signedIn(t, s.link())
	if o.header["alg"] != "RS256" || o.header["kid"] == nil {
		t.Errorf("signed as %v, want RS256 by a key that is named", o.header)
	}
}

// Nothing unsigned is offered, registered or signed.
func (s *suite) unsigned(t *testing.T) {
	var offered struct {
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := s.provider.Claims(&offered); err != nil || !slices.Contains(offered.Algorithms, "RS256") || slices.Contains(offered.Algorithms, "none") {
		t.Errorf("offered are %v, %v", offered.Algorithms, err)
	}
	unsigned := s.other
	unsigned.ID, unsigned.IDTokenAlgorithm, unsigned.Secrets = unknownID, "none", nil
	if err := s.Clients.Create(t.Context(), unsigned, postgrestest.Event("client.created")); err == nil {
		t.Error("a client is registered for ID tokens that nobody signed")
	}
	if compact, err := s.IDTokens.SignIDToken("none", answer{}); err == nil {
		t.Errorf("handed out is %s", compact)
	}
}

func (s *suite) userinfo(t *testing.T, method string, body func(access string) string, change func(access string) func(*http.Request)) {
	o := s.signedIn(t, s.link())
	access := o.text("access_token")
	r, info := s.tells(t, method, "", body(access), change(access))
	want := answer{"sub": o.id.Subject, "email": "ada@example.com", "email_verified": false}
	if diff := cmp.Diff(want, info); diff != "" || r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v (-want +got):\n%s", r.StatusCode, r.Header, diff)
	}
}

// granted is a module whose request succeeds like any other.
func granted(pairs ...string) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		if o := s.signedIn(t, s.link(pairs...)); (o.id.Nonce == "n") == (pairs[0] == "nonce") {
			t.Errorf("the ID token says %+v", o.id)
		}
	}
}

// refused is a module whose request is refused, which the client learns.
func refused(code string, pairs ...string) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		back := s.visit(t, s.link(pairs...))
		if q := back.Query(); !strings.HasPrefix(back.String(), callback+"?") || q.Get("error") != code || q.Get("state") != "s t" || q.Get("iss") != s.published.issuer || q.Has("code") {
			t.Errorf("sent to %s, want the error %s", back, code)
		}
		var said map[string]any
		name := pairs[0] + "_parameter_supported"
		if err := s.provider.Claims(&said); err != nil || said[name] != nil && said[name] != false {
			t.Errorf("announced is %v, %v", said[name], err)
		}
	}
}

// nowhere is a module whose request is refused on a page: it leads nowhere.
func nowhere(pairs ...string) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		if r := s.opens(t, s.link(pairs...)); r.StatusCode != http.StatusBadRequest || r.Header.Get("Location") != "" {
			t.Errorf("%d to %q", r.StatusCode, r.Header.Get("Location"))
		}
	}
}

// scope is a module about what a scope grants, and what UserInfo tells beside the subject then.
func scope(asked, granted string, told ...string) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		o := s.signedIn(t, s.link("scope", asked))
		_, info := s.tells(t, http.MethodGet, "", "", bearer(o.text("access_token")))
		want := slices.Sorted(slices.Values(append([]string{"sub"}, told...)))
		if got := slices.Sorted(maps.Keys(info)); o.answer["scope"] != granted || !slices.Equal(got, want) {
			t.Errorf("granted is %v, told are %v; want %s and %v", o.answer["scope"], got, granted, want)
		}
	}
}

// again is a module whose request has the person sign in once more.
func again(after time.Duration, pairs ...string) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		first := s.signedIn(t, s.link())
		s.later(t, after)
		back := signIn(t, s.opens(t, s.link(pairs...)))
		s.later(t, time.Second)
		s.cookie = s.signIn(t, s.userID)
		second := s.signedIn(t, s.published.issuer+openid.AuthorizePath+"?"+back)
		if was, is := first.claims["auth_time"].(float64), second.claims["auth_time"].(float64); is <= was || is != float64(s.now.Unix()) {
			t.Errorf("auth_time was %v and is %v", was, is)
		}
	}
}

// same is a module whose request needs no new sign-in.
func same(pairs ...string) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		first := s.signedIn(t, s.link("max_age", "15000"))
		s.later(t, 10*time.Second)
		second := s.signedIn(t, s.link(pairs...))
		if was, is := first.claims["auth_time"], second.claims["auth_time"]; was == nil || was != is || first.id.Subject != second.id.Subject {
			t.Errorf("%s proven at %v, then %s at %v", first.id.Subject, was, second.id.Subject, is)
		}
	}
}

func (s *suite) nobody(t *testing.T) {
	s.cookie = ""
	state := strings.Repeat("state", 26)
	if q := s.visit(t, s.link("prompt", "none", "state", state)).Query(); q.Get("error") != "login_required" || q.Get("state") != state || q.Has("code") {
		t.Errorf("answered %v", q)
	}
}

func (s *suite) hinted(t *testing.T) {
	first := s.signedIn(t, s.link())
	same("prompt", "none", "id_token_hint", first.text("id_token"))(s, t)
	of, err := s.IDTokens.SignIDToken(s.other.IDTokenAlgorithm, answer{"sub": "somebody else", "aud": s.other.ID})
	if err != nil {
		t.Fatal(err)
	}
	if q := s.visit(t, s.link("prompt", "none", "id_token_hint", of)).Query(); q.Get("error") != "login_required" {
		t.Errorf("to a hint of somebody else answered %v", q)
	}
}

// reused is a module that redeems a code twice.
func reused(after time.Duration) func(*suite, *testing.T) {
	return func(s *suite, t *testing.T) {
		form := s.code(t, s.link())
		_, told := post(t, s.Token, form, basic(s.other.ID, "secret"))
		s.checked(t, told)
		s.later(t, after)
		if r, again := post(t, s.Token, form, basic(s.other.ID, "secret")); r.StatusCode != http.StatusBadRequest || again["error"] != "invalid_grant" {
			t.Errorf("the second use: %d %v", r.StatusCode, again)
		}
		s.refresh(t)
		if r, info := s.tells(t, http.MethodGet, "", "", bearer(told.text("access_token"))); r.StatusCode != http.StatusUnauthorized {
			t.Errorf("the access token of the first use: %d %v", r.StatusCode, info)
		}
	}
}

func (s *suite) byPost(t *testing.T) {
	asked := s.asks("client_id", s.other.ID)
	r := httptest.NewRequest(http.MethodPost, s.published.issuer+openid.AuthorizePath, strings.NewReader(asked.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	recorder := httptest.NewRecorder()
	s.Authorize(recorder, r) // without a cookie: a browser sends none with a POST from another site
	to := sentTo(t, recorder.Result())
	if to.Host != "" || to.Path != openid.AuthorizePath || to.Query().Encode() != asked.Encode() {
		t.Fatalf("sent to %s", to)
	}
	s.signedIn(t, s.published.issuer+to.String())
}

func (s *suite) secretPost(t *testing.T) {
	form := with(s.code(t, s.link()), "client_id", s.other.ID, "client_secret", "secret")
	r, told := post(t, s.Token, form)
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", r.StatusCode, told)
	}
	s.checked(t, told)
}

func (s *suite) refreshes(t *testing.T) {
	first := s.signedIn(t, s.link("scope", "openid offline_access", "prompt", "consent"))
	form := refreshes(first.text("refresh_token"), "client_id", "")
	if r, told := post(t, s.Token, form, basic(s.backend.ID, "secret")); r.StatusCode != http.StatusBadRequest || told["error"] != "invalid_grant" {
		t.Errorf("of another client: %d %v", r.StatusCode, told)
	}
	r, told := post(t, s.Token, form, basic(s.other.ID, "secret"))
	if access := told.text("access_token"); r.StatusCode != http.StatusOK || access == "" || access == first.text("access_token") {
		t.Fatalf("%d %v", r.StatusCode, told)
	}
	if r, info := s.tells(t, http.MethodGet, "", "", bearer(told.text("access_token"))); r.StatusCode != http.StatusOK || info["sub"] != first.id.Subject {
		t.Errorf("userinfo is %d %v", r.StatusCode, info)
	}
}

// The verifier of the request is taken, and no other is.
func (s *suite) challenged(t *testing.T) {
	verifier := oauth2.GenerateVerifier()
	form := s.code(t, s.link("code_challenge", oauth2.S256ChallengeFromVerifier(verifier)))
	if r, told := post(t, s.Token, form, basic(s.other.ID, "secret")); told["error"] != "invalid_grant" {
		t.Errorf("with the verifier of another request: %d %v", r.StatusCode, told)
	}
	r, told := post(t, s.Token, with(form, "code_verifier", verifier), basic(s.other.ID, "secret"))
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", r.StatusCode, told)
	}
	s.checked(t, told)
}
