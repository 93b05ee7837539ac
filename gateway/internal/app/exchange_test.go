package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

const jwks = "/oauth2/jwks"

// oauthError is the error of a program's request in OAuth's words.
func oauthError(t *testing.T, a answer) string {
	t.Helper()
	var body struct{ Error string }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %s: %v", a.status, a.header, a.body, err)
	}
	return body.Error
}

// R26, R51, R56: a web exchange has the edge's shape of requests and its security headers, its own
// cookies and credentials, and no more than that.
func TestExchangesAtTheEdge(t *testing.T) {
	r := start(t, nil)
	var seen *http.Request
	r.Auth.Answer(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "public, max-age=1")
		_, _ = io.WriteString(w, "{}")
	})
	a := r.do(request{path: jwks + "?anything=%C3%A9", bearer: "no token of ours", header: map[string]string{
		"Cookie": "__Host-gatehouse=1", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example", "X-Something": "y", "User-Agent": "agent/1",
	}})
	if a.status != http.StatusOK || a.body != "{}" || a.header.Get("Cache-Control") != "public, max-age=1" || a.header.Get("X-Content-Type-Options") != "nosniff" ||
		a.header.Get("Strict-Transport-Security") == "" || a.header.Get("X-Request-Id") == "" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	if seen.Header.Get("Cookie") != "__Host-gatehouse=1" || seen.Header.Get("Authorization") != "Bearer no token of ours" || seen.URL.RawQuery != "anything=%C3%A9" ||
		seen.RemoteAddr != "127.0.0.1:0" || seen.UserAgent() != "agent/1" || seen.Host != "id.example.com" || len(seen.Header.Values("X-Forwarded-For")) > 0 {
		t.Errorf("the handler sees %+v", seen)
	}
	for _, path := range []string{"//oauth2/jwks", "/oauth2//jwks", "/oauth2/./jwks", "/oauth2/jwks/", "/oauth2/jwks;x", "/oauth2%2fjwks", "/oauth2/jwks:x", "/OAUTH2/jwks"} {
		if a := r.do(request{path: path}); a.status != http.StatusBadRequest && a.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := r.do(request{path: jwks, header: map[string]string{"X-Gatehouse-Caller": "x"}}); a.status != http.StatusBadRequest || oauthError(t, a) != "invalid_request" {
		t.Errorf("a forged header: %d %s", a.status, a.body)
	}
	if a := r.do(request{method: "POST", path: jwks}); a.status != http.StatusMethodNotAllowed || oauthError(t, a) != "invalid_request" || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("another verb: %d %v %s", a.status, a.header, a.body)
	}
	if a := r.do(request{method: "HEAD", path: jwks}); a.status != http.StatusOK || a.body != "" {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
	if a := r.do(request{path: "/openapi.json"}); strings.Contains(a.body, jwks) || strings.Contains(a.body, "gatehouse.web.v1") {
		t.Error("the API document has web exchanges")
	}
	r.StopAuth()
	if a := r.do(request{path: jwks}); a.status != http.StatusServiceUnavailable || oauthError(t, a) != "temporarily_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("nobody answers: %d %v %s", a.status, a.header, a.body)
	}
}

// OAuth clients have a budget of their own: a backend that uses it up takes nothing of people
// behind its address, and they nothing of it. What is refused before the route of a request is
// known speaks as its visitors do.
func TestLimitsOfExchanges(t *testing.T) {
	r := start(t, map[string]string{
		"GATEHOUSE_GATEWAY_RATE_OAUTH": "0.001", "GATEHOUSE_GATEWAY_BURST_OAUTH": "30", // of which a tenth is there at the start
		"GATEHOUSE_GATEWAY_RATE_PER_ADDRESS": "0.001", "GATEHOUSE_GATEWAY_BURST_PER_ADDRESS": "400",
	})
	limited := func(path string) bool { return r.do(request{path: path}).status == http.StatusTooManyRequests }
	for n := range 3 {
		if limited(jwks) {
			t.Fatalf("request %d is over the rate", n)
		}
	}
	a := r.do(request{path: jwks})
	if a.status != http.StatusTooManyRequests || oauthError(t, a) != "temporarily_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("over the rate: %d %v %s", a.status, a.header, a.body)
	}
	if limited("/livez") {
		t.Error("the budget of OAuth clients is that of all")
	}
	check.Eventually(t, "the rate of all to be used up", func() bool { return limited("/livez") })
	if a := r.do(request{path: "/livez"}); a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("others are told: %v %s", a.header, a.body)
	}
}

// The budget of all is not that of OAuth clients.
func TestPeopleTakeNothingOfOAuthClients(t *testing.T) {
	r := start(t, map[string]string{"GATEHOUSE_GATEWAY_RATE_PER_ADDRESS": "0.001", "GATEHOUSE_GATEWAY_BURST_PER_ADDRESS": "400"})
	check.Eventually(t, "the rate of all to be used up", func() bool { return r.do(request{path: "/livez"}).status == http.StatusTooManyRequests })
	if a := r.do(request{path: jwks}); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}
