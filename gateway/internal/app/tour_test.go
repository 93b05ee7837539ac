package app_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const password = "correct horse battery staple"

// The whole life of a user over REST, with the statuses of the contract.
func TestTour(t *testing.T) {
	r := start(t, nil)
	up := r.do(request{method: "POST", path: "/api/v1/auth/sign-up",
		body: `{"email":"a@example.com","password":"` + password + `","display_name":"A"}`})
	if up.status != http.StatusCreated {
		t.Fatalf("sign-up: %d %s", up.status, up.body)
	}
	var signedUp struct{ User struct{ ID, Email string } }
	decode(t, up, &signedUp)
	if signedUp.User.ID == "" || signedUp.User.Email != "a@example.com" {
		t.Fatalf("sign-up answered %s", up.body)
	}
	in := r.do(request{method: "POST", path: "/api/v1/auth/sign-in", body: `{"email":"a@example.com","password":"` + password + `"}`})
	var tokens struct {
		Access  string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
	}
	decode(t, in, &tokens)
	if in.status != http.StatusOK || tokens.Access == "" || tokens.Type != "Bearer" || tokens.Expires != 600 {
		t.Fatalf("sign-in: %d %s", in.status, in.body)
	}
	if cache := in.header.Get("Cache-Control"); cache != "no-store" {
		t.Errorf("tokens are answered with Cache-Control %q", cache)
	}
	path := "/api/v1/users/" + signedUp.User.ID
	got := r.do(request{path: path, bearer: tokens.Access})
	if got.status != http.StatusOK || got.header.Get("ETag") != `"v1"` || !strings.Contains(got.body, `"display_name"`) ||
		!strings.Contains(got.body, `"locale"`) { // unpopulated fields are written
		t.Fatalf("get: %d %v %s", got.status, got.header, got.body)
	}
	patched := r.do(request{method: "PATCH", path: path, bearer: tokens.Access, body: `{"display_name":"B"}`,
		header: map[string]string{"If-Match": `"v1"`}})
	if patched.status != http.StatusOK || patched.header.Get("ETag") == `"v1"` || !strings.Contains(patched.body, `"B"`) {
		t.Fatalf("patch: %d %v %s", patched.status, patched.header, patched.body)
	}
	if p := r.refused(http.StatusPreconditionFailed, request{method: "DELETE", path: path, bearer: tokens.Access,
		header: map[string]string{"If-Match": `"v1"`}}); p.Reason != "ETAG_MISMATCH" {
		t.Errorf("stale delete: %+v", p)
	}
	deleted := r.do(request{method: "DELETE", path: path, bearer: tokens.Access})
	if deleted.status != http.StatusNoContent || deleted.body != "" || deleted.header.Get("Content-Type") != "" {
		t.Fatalf("delete: %d %q %v", deleted.status, deleted.body, deleted.header)
	}
}

func decode(t *testing.T, a answer, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

// A POST without fields works with no body and with {}, and with nothing else.
func TestSignOutTakesNoBody(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	for name, c := range map[string]struct {
		body, kind string
		status     int
	}{
		"none":              {"", "", 204},
		"none, form":        {"", "application/x-www-form-urlencoded", 204},
		"object":            {"{}", "application/json", 204},
		"spaced object":     {" { } ", "application/json; charset=utf-8", 204},
		"field":             {`{"all":true}`, "application/json", 400},
		"object as a form":  {"{}", "application/x-www-form-urlencoded", 415},
		"object, no type":   {"{}", "", 415},
		"object, text":      {"{}", "text/plain", 415},
		"compressed object": {"{}", "gzip", 415},
	} {
		t.Run(name, func(t *testing.T) {
			q := request{method: "POST", path: "/api/v1/auth/sign-out", bearer: r.bearer(id), body: c.body, header: map[string]string{"Content-Type": c.kind}}
			if c.kind == "gzip" {
				q.header = map[string]string{"Content-Encoding": "gzip"}
			}
			if a := r.do(q); a.status != c.status {
				t.Errorf("status %d, want %d: %s", a.status, c.status, a.body)
			}
		})
	}
}

func TestOwnDocuments(t *testing.T) {
	r := start(t, nil)
	for path, want := range map[string]struct{ contentType, contains string }{
		"/livez":                 {"application/json", "alive"},
		"/readyz":                {"application/json", "ready"},
		"/openapi.json":          {"application/json", `"openapi": "3.1.0"`},
		"/.well-known/jwks.json": {"application/jwk-set+json", `"kid":"test"`},
	} {
		a := r.do(request{path: path})
		if a.status != http.StatusOK || a.header.Get("Content-Type") != want.contentType || !strings.Contains(a.body, want.contains) {
			t.Errorf("GET %s: %d %v %.200s", path, a.status, a.header, a.body)
		}
		if head := r.do(request{method: "HEAD", path: path}); head.status != http.StatusOK || head.body != "" {
			t.Errorf("HEAD %s: %d %q", path, head.status, head.body)
		}
		r.refused(http.StatusBadRequest, request{path: path + "?x=1"})
		if a := r.do(request{method: "POST", path: path}); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d, Allow %q", path, a.status, a.header.Get("Allow"))
		}
	}
	if age := r.do(request{path: "/.well-known/jwks.json"}).header.Get("Cache-Control"); age != "public, max-age=150" {
		t.Errorf("key set with Cache-Control %q", age)
	}
}

// R26: every response carries the headers, whatever it is.
func TestSecurityHeaders(t *testing.T) {
	r := start(t, nil)
	for _, q := range []request{
		{path: "/livez"}, {path: "/nothing"}, {path: "/api/v1/users/x"}, {path: "/a//b"}, {method: "PUT", path: "/livez"},
		{method: "POST", path: "/api/v1/auth/sign-in", body: "{"}, {path: "/livez", header: map[string]string{"X-User-Id": "1"}},
		{path: "/" + strings.Repeat("a", 9000)}, {path: "/oauth2/authorize"}, {path: "/sign-in"},
	} {
		h := r.do(q).header
		for name, want := range map[string][]string{
			"Strict-Transport-Security": {"max-age=31536000", "includeSubDomains"},
			"Content-Security-Policy":   {"default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"},
			"X-Content-Type-Options":    {"nosniff"}, "Referrer-Policy": {""}, "Cross-Origin-Opener-Policy": {"same-origin"}, "X-Request-Id": {""},
		} {
			value := h.Get(name)
			for _, part := range want {
				if value == "" || !strings.Contains(value, part) {
					t.Errorf("%s %.40s answers with %s %q, want %q in it", q.method, q.path, name, value, part)
				}
			}
		}
	}
}
