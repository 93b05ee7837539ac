package middleware

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// pages are the configured origins.
func pages(t *testing.T, configured ...string) *Origins {
	t.Helper()
	o, err := NewOrigins(configured)
	check.NoError(t, err)
	return o
}

// Who is who below.
const (
	ofClient   = "https://orders.example.com" // of a client
	ofPlatform = "https://admin.example.com"  // of a client with the platform's API
	ofNobody   = "https://elsewhere.example.com"
	onMachine  = "http://localhost:3000" // of a client in development
)

// known has one origin that is configured, and three of clients.
func known(t *testing.T) *Origins {
	t.Helper()
	o := pages(t, page)
	check.NoError(t, o.SetClients([]string{onMachine, ofPlatform, ofClient}, []string{ofPlatform}))
	return o
}

// ends is a chain whose end always answers.
func ends(t *testing.T, o *Origins) http.Handler {
	t.Helper()
	h, _ := chain(t, func(http.ResponseWriter, *http.Request) {}, func(p *Params) { p.Origins = o })
	return h
}

// readable reports whether the response to a request, and to a preflight for it, may be read by
// pages of the origin; both say the same, and neither speaks of credentials or of everybody.
func readable(t *testing.T, h http.Handler, path, origin string) bool {
	t.Helper()
	actual := httptest.NewRequest(http.MethodGet, "https://id.example.com"+path, nil)
	actual.Header.Set("Origin", origin)
	preflight := httptest.NewRequest(http.MethodOptions, "https://id.example.com"+path, nil)
	preflight.Header.Set("Origin", origin)
	preflight.Header.Set("Access-Control-Request-Method", http.MethodPost)
	preflight.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
	var may [2]bool
	for i, r := range []*http.Request{actual, preflight} {
		header := serve(h, r).Header()
		allowed := header.Values("Access-Control-Allow-Origin")
		may[i] = slices.Equal(allowed, []string{origin})
		if !may[i] && len(allowed) > 0 || header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s %s of %s: %v", r.Method, path, origin, header)
		}
	}
	if may[0] != may[1] {
		t.Errorf("%s of %s may be read: %t, its preflight says %t", path, origin, may[0], may[1])
	}
	return may[0]
}

// R27: which pages read what.
func TestWhoMayReadWhat(t *testing.T) {
	h := ends(t, known(t))
	for _, c := range []struct {
		paths []string
		by    []string
	}{
		{ // what an application asks the provider for
			[]string{
				"/oauth2/token", "/oauth2/userinfo", "/oauth2/revoke", "/oauth2/jwks", "/.well-known/jwks.json",
				"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
			},
			[]string{page, ofClient, ofPlatform, onMachine},
		},
		{[]string{"/api/v1/me", "/api/v1/users/x", "/api/v1/auth/sign-in", "/api/v1/no-such-thing"}, []string{page, ofPlatform}},
		{[]string{"/openapi.json", "/livez", "/readyz"}, []string{page}},
		{ // where people go, what only servers ask, and what does not exist
			[]string{
				"/oauth2/authorize", "/oauth2/authorize?client_id=x", "/oauth2/logout", "/oauth2/introspect", "/sign-in", "/sign-up", "/sign-out", "/account", "/error",
				"/.well-known/change-password", "/", "/oauth2/", "/oauth2/token/", "/oauth2//token", "/OAUTH2/token", "/oauth2/token/x", "/oauth2/authorize/../token",
				"/oauth2/authorize;/oauth2/token", "/apis", "/nothing",
			},
			nil,
		},
	} {
		for _, path := range c.paths {
			for _, origin := range []string{page, ofClient, ofPlatform, onMachine, ofNobody} {
				if may := readable(t, h, path, origin); may != slices.Contains(c.by, origin) {
					t.Errorf("%s may be read by %s: %t", path, origin, may)
				}
			}
		}
	}
}

// R27: an origin is compared whole.
func TestOriginsThatOnlyLookAlike(t *testing.T) {
	h := ends(t, known(t))
	for name, origin := range map[string]string{
		"null":                   "null",
		"suffix":                 "https://evilorders.example.com",
		"prefix":                 "https://orders.example.com.evil.example",
		"subdomain":              "https://a.orders.example.com",
		"parent":                 "https://example.com",
		"http":                   "http://orders.example.com",
		"https on machine":       "https://localhost:3000",
		"another port":           "https://orders.example.com:8443",
		"port of the scheme":     "https://orders.example.com:443",
		"another port of ours":   "http://localhost:3001",
		"no port":                "http://localhost",
		"another name of ours":   "http://127.0.0.1:3000",
		"upper case host":        "https://Orders.example.com",
		"upper case scheme":      "HTTPS://orders.example.com",
		"trailing dot":           "https://orders.example.com.",
		"trailing slash":         "https://orders.example.com/",
		"path":                   "https://orders.example.com/app",
		"user name":              "https://a@orders.example.com",
		"space before":           " https://orders.example.com",
		"space behind":           "https://orders.example.com ",
		"list":                   "https://orders.example.com, https://elsewhere.example.com",
		"two of the known":       "https://orders.example.com https://admin.example.com",
		"everybody":              "*",
		"nothing":                "",
		"no scheme":              "orders.example.com",
		"homograph":              "https://оrders.example.com",
		"backtick":               "https://orders.example.com`.evil.example",
		"underscore":             "https://orders.example.com_.evil.example",
		"extension of a browser": "chrome-extension://orders.example.com",
		"a file":                 "file://",
	} {
		for _, path := range []string{"/oauth2/token", "/api/v1/me"} {
			if origin != "" && readable(t, h, path, origin) {
				t.Errorf("%s, %s, may read %s", name, origin, path)
			}
		}
	}
	// A request with two origins is of neither.
	r := httptest.NewRequest(http.MethodGet, "/oauth2/token", nil)
	r.Header["Origin"] = []string{ofNobody, ofClient}
	if allowed := serve(h, r).Header().Get("Access-Control-Allow-Origin"); allowed == ofClient || allowed == "*" {
		t.Errorf("of two origins %s may read", allowed)
	}
}

// R27: a cache gives one page's response to no other, whoever asked first and whatever is known.
func TestResponsesVaryByOrigin(t *testing.T) {
	for name, o := range map[string]*Origins{"nobody may read": pages(t), "the configured": pages(t, page), "clients": known(t), "none is made": nil} {
		h := ends(t, o)
		for _, path := range []string{"/oauth2/token", "/oauth2/jwks", "/.well-known/openid-configuration", "/api/v1/me"} {
			for _, origin := range []string{"", ofClient, ofNobody} {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				if origin != "" {
					r.Header.Set("Origin", origin)
				}
				if vary := strings.Join(serve(h, r).Header().Values("Vary"), ","); !strings.Contains(vary, "Origin") {
					t.Errorf("%s: %s of %q varies by %q", name, path, origin, vary)
				}
			}
		}
	}
}

// Before clients are known, and after the last one is gone, the configured list alone holds.
func TestOriginsOfClientsComeAndGo(t *testing.T) {
	o := pages(t, page)
	h := ends(t, o)
	for _, step := range []struct {
		all, platform []string
		token, api    []string // who may read
	}{
		{nil, nil, []string{page}, []string{page}},
		{[]string{ofClient, ofPlatform}, []string{ofPlatform}, []string{page, ofClient, ofPlatform}, []string{page, ofPlatform}},
		{[]string{ofClient, ofPlatform}, []string{ofClient}, []string{page, ofClient, ofPlatform}, []string{page, ofClient}},
		{[]string{ofClient, page}, []string{page}, []string{page, ofClient}, []string{page}}, // of a client and configured
		{nil, nil, []string{page}, []string{page}},
	} {
		check.NoError(t, o.SetClients(step.all, step.platform))
		for _, origin := range []string{page, ofClient, ofPlatform, ofNobody} {
			if may := readable(t, h, "/oauth2/token", origin); may != slices.Contains(step.token, origin) {
				t.Errorf("with %v: token may be read by %s: %t", step.all, origin, may)
			}
			if may := readable(t, h, "/api/v1/me", origin); may != slices.Contains(step.api, origin) {
				t.Errorf("with %v: the API may be read by %s: %t", step.platform, origin, may)
			}
		}
	}
	nobody := pages(t)
	h = ends(t, nobody)
	check.NoError(t, nobody.SetClients([]string{ofClient}, nil))
	if !readable(t, h, "/oauth2/token", ofClient) || readable(t, h, "/api/v1/me", ofClient) {
		t.Error("without a configured list clients' origins do not hold, or hold too much")
	}
	check.NoError(t, nobody.SetClients(nil, nil))
	if readable(t, h, "/oauth2/token", ofClient) || readable(t, h, "/oauth2/token", ofNobody) {
		t.Error("pages of gone clients may read")
	}
}

// What no browser can send is left out, is said, and takes nobody along.
func TestOriginsOfClientsThatNobodySends(t *testing.T) {
	o := pages(t, page)
	h := ends(t, o)
	for range 2 { // it stays wrong while it is told
		if err := o.SetClients([]string{"https://192.0.2.1", "*", ofClient, "https://*.example.com"}, nil); err == nil || !strings.Contains(err.Error(), "192.0.2.1") {
			t.Errorf("what is wrong is not said: %v", err)
		}
	}
	if !readable(t, h, "/oauth2/token", ofClient) || readable(t, h, "/oauth2/token", ofNobody) {
		t.Error("the good origin does not hold, or everybody's does")
	}
	check.NoError(t, o.SetClients([]string{ofClient}, nil))
}

// R27: a list of headers that no page sends is refused at once, however long.
func TestHugeHeaderListsAreNotSlow(t *testing.T) {
	h := ends(t, known(t))
	r := httptest.NewRequest(http.MethodOptions, "/oauth2/token", nil)
	r.Header.Set("Origin", ofClient)
	r.Header.Set("Access-Control-Request-Method", http.MethodPost)
	r.Header.Set("Access-Control-Request-Headers", strings.Repeat("a,", 1<<20))
	began := time.Now()
	if w := serve(h, r); w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
}
