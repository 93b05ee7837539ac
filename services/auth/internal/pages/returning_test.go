package pages_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"
)

func millis(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }

// R29: a page leads on to a request of a registered client to our own provider, and nowhere else.
func TestReturnsThatLeadNowhere(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	good := w.authorize(callback)
	query := good[len("/oauth2/authorize?"):]
	bad := map[string]string{
		"another site":           "https://evil.example/",
		"without a scheme":       "//evil.example/oauth2/authorize?" + query,
		"backslashes":            `/\evil.example/oauth2/authorize?` + query,
		"our host in full":       "https://" + host + good,
		"a script":               "javascript:alert(1)",
		"another page":           "/sign-out",
		"the account":            "/account",
		"the account, and more":  "/account?done=repeat&x=1",
		"another word of it":     "/account?done=password",
		"an encoded one of ours": "/account?done=%72epeat",
		"one of ours elsewhere":  "//evil.example/account?done=repeat",
		"the logout":             "/oauth2/logout?" + query,
		"no query":               "/oauth2/authorize",
		"a longer path":          "/oauth2/authorize/../../x?" + query,
		"an encoded path":        "/oauth2%2fauthorize?" + query,
		"a blank first":          " " + good,
		"a fragment":             good + "#https://evil.example",
		"a bad escape":           good + "&x=%zz",
		"a semicolon":            good + ";x",
		"no client":              "/oauth2/authorize?redirect_uri=" + url.QueryEscape(callback),
		"unknown client":         "/oauth2/authorize?client_id=client-x&redirect_uri=" + url.QueryEscape(callback),
		"NUL in the client":      "/oauth2/authorize?client_id=%00&redirect_uri=" + url.QueryEscape(callback),
		"two clients":            good + "&client_id=" + w.client.ID,
		"no redirect":            "/oauth2/authorize?client_id=" + w.client.ID,
		"another redirect":       w.authorize("https://evil.example/callback"),
		"a longer redirect":      w.authorize(callback + "/x"),
		"two redirects":          good + "&redirect_uri=" + url.QueryEscape(callback),
		"too long":               good + "&x=" + string(make([]byte, 8<<10)),
		"a directive of the CSP": w.authorize(callback + "; script-src *"),
	}
	for name, to := range bad {
		for _, page := range []string{"/sign-in", "/sign-up"} {
			a := w.browser().get(t, page+"?return_to="+url.QueryEscape(to))
			if a.Code != http.StatusBadRequest || a.leadsFormsTo() != "'self'" || a.Header().Get("Location") != "" {
				t.Errorf("%s at %s: %d, forms lead to %s", name, page, a.Code, a.leadsFormsTo())
			}
		}
		b := w.browser()
		a := b.post(t, "/sign-in", "email", email, "password", pass, "return_to", to)
		if a.Code != http.StatusBadRequest || b.cookie != "" {
			t.Errorf("%s in a form: %d to %q", name, a.Code, a.Header().Get("Location"))
		}
	}
}

// R26: form-action names where the answer to the form leads in the end; 'self' alone would block
// the way back to the client.
func TestFormsLeadBackToTheClient(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	for redirect, source := range map[string]string{
		callback:                          "https://app.example",
		"http://127.0.0.1:49152/callback": "http://127.0.0.1:49152",
		"http://[::1]:49152/callback":     "http:", // a source names no IPv6 address
		"com.example.app:/callback":       "com.example.app:",
	} {
		to := w.authorize(redirect, "state", "a b", "login_hint", "ada@example.com")
		for _, page := range []string{"/sign-in", "/sign-up"} {
			a := w.browser().get(t, page+"?return_to="+url.QueryEscape(to))
			a.says(t, http.StatusOK, "to continue to Blue &amp; Green", `value="ada@example.com"`)
			if got := a.leadsFormsTo(); got != "'self' "+source {
				t.Errorf("forms of %s lead to %s, want %s", page, got, source)
			}
		}
		b := w.browser()
		b.post(t, "/sign-in", "email", email, "password", "wrong", "return_to", to).says(t, http.StatusUnauthorized, `name="return_to"`)
		b.post(t, "/sign-in", "email", email, "password", pass, "return_to", to).leads(t, to)
	}
}

// The page that signs out leads on to the provider's logout endpoint, with a place of the client's.
func TestSigningOutForAClient(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	logout := func(pairs ...string) string {
		query := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			query.Add(pairs[i], pairs[i+1])
		}
		return "/oauth2/logout?" + query.Encode()
	}
	hint := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"aud":"`+w.client.ID+`"}`)) + ".x"
	for name, c := range map[string]struct{ to, source string }{
		"a client":         {logout("client_id", w.client.ID, "post_logout_redirect_uri", afterwards), "'self' https://app.example"},
		"an ID token":      {logout("id_token_hint", hint, "post_logout_redirect_uri", afterwards), "'self' https://app.example"},
		"no place":         {logout("client_id", w.client.ID), "'self'"},
		"nothing":          {logout("state", "x"), "'self'"},
		"another place":    {logout("client_id", w.client.ID, "post_logout_redirect_uri", callback), ""},
		"a place for all":  {logout("post_logout_redirect_uri", "https://evil.example", "client_id", "client-x"), ""},
		"another endpoint": {"/oauth2/authorize?client_id=" + w.client.ID, ""},
		"a broken token":   {logout("id_token_hint", "x.y", "post_logout_redirect_uri", afterwards), ""},
	} {
		b := w.browser()
		b.signIn(t, email)
		page := b.get(t, "/sign-out?return_to="+url.QueryEscape(c.to))
		if c.source == "" {
			if page.Code != http.StatusBadRequest || b.post(t, "/sign-out", "return_to", c.to).Code != http.StatusBadRequest {
				t.Errorf("%s: %d", name, page.Code)
			}
			continue
		}
		page.says(t, http.StatusOK, "Sign out?", "ada@example.com")
		if page.leadsFormsTo() != c.source {
			t.Errorf("%s: forms lead to %s, want %s", name, page.leadsFormsTo(), c.source)
		}
		b.post(t, "/sign-out", "return_to", c.to).leads(t, c.to)
		b.get(t, "/sign-out?return_to="+url.QueryEscape(c.to)).leads(t, c.to) // nothing is left to ask
	}
}
