package httpserver_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse/gatehouse/internal/health"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
)

type verdict []health.Result

func (v verdict) Results() []health.Result { return v }
func (v verdict) Ready() bool {
	for _, r := range v {
		if !r.OK {
			return false
		}
	}
	return true
}

func get(handler http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestOps(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_test_total"})
	registry.MustRegister(counter)
	well := httpserver.Ops(verdict{{Name: "database", OK: true}}, registry, "v1.2.3")
	ill := httpserver.Ops(verdict{{Name: "database", OK: true}, {Name: "schema", Message: "run `identity migrate`"}}, registry, "v1.2.3")
	for name, c := range map[string]struct {
		handler      http.Handler
		method, path string
		status       int
		body         string
	}{
		"alive":                {well, "GET", "/livez", 200, `{"status":"alive"}`},
		"alive, not ready":     {ill, "GET", "/livez", 200, `{"status":"alive"}`},
		"ready":                {well, "GET", "/readyz", 200, `{"status":"ready","checks":[{"name":"database","ok":true}]}`},
		"not ready, and why":   {ill, "GET", "/readyz", 503, "{\"name\":\"schema\",\"ok\":false,\"message\":\"run `identity migrate`\"}"},
		"metrics":              {well, "GET", "/metrics", 200, "gatehouse_test_total 0"},
		"version":              {well, "GET", "/version", 200, `{"version":"v1.2.3"}`},
		"nothing else":         {well, "GET", "/debug/pprof/", 404, ""},
		"nothing but to read":  {well, "POST", "/livez", 405, ""},
		"a long target":        {well, "GET", "/livez?" + strings.Repeat("a", 9000), 414, "URI_TOO_LONG"},
		"public, ready":        {httpserver.Readyz(verdict{}), "GET", "/readyz", 200, `{"status":"ready"}`},
		"public, says no more": {httpserver.Readyz(verdict{{Name: "keys"}}), "GET", "/readyz", 503, `"reason":"NOT_READY"`},
	} {
		w := get(c.handler, c.method, c.path)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s: %d %s, want %d %s", name, w.Code, w.Body, c.status, c.body)
		}
	}
	if body := get(httpserver.Readyz(verdict{{Name: "keys"}}), "GET", "/").Body.String(); strings.Contains(body, "keys") {
		t.Errorf("the public answer names a check: %s", body)
	}
}

// What a program tells besides is for who calls the listener by a name of loopback: a page of
// another site whose name leads there by now reads nothing (DNS rebinding).
func TestOpsTellsMoreToLocalhostAlone(t *testing.T) {
	more := httpserver.Route{Pattern: "GET /more", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("told")) })}
	handler := httpserver.Ops(verdict{}, prometheus.NewRegistry(), "v1.2.3", more)
	for host, status := range map[string]int{
		"127.0.0.1:8482": 200, "localhost:8482": 200, "[::1]:8482": 200,
		"evil.example:8482": 403, "localhost.evil.example:8482": 403, "127.0.0.1.evil.example:8482": 403, "10.0.0.1:8482": 403, "": 403, "localhost": 403,
	} {
		r, w := httptest.NewRequest(http.MethodGet, "/more", nil), httptest.NewRecorder()
		r.Host = host
		handler.ServeHTTP(w, r)
		if w.Code != status || strings.Contains(w.Body.String(), "told") != (status == http.StatusOK) {
			t.Errorf("%q: %d %s, want %d", host, w.Code, w.Body, status)
		}
	}
}
