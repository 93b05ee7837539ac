package middleware

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
)

// A name that a client chose is repeated up to 64 characters: a refusal is never much longer than an ordinary one, whatever was sent.
func TestNamesAreEchoedInShort(t *testing.T) {
	h, _ := chain(t, nil, nil)
	const signIn = "/api/v1/auth/sign-in"
	huge := strings.Repeat("<", 1_000_000)
	for name, q := range map[string]struct{ path, body, header, value string }{
		"field":                  {signIn, `{"` + huge + `":1}`, "", ""},
		"field beyond ASCII":     {signIn, `{"x` + strings.Repeat("€", 1000) + `":1}`, "", ""},
		"field of control codes": {signIn, `{"` + strings.Repeat(`\u0001`, 1000) + `":1}`, "", ""},
		"field twice":            {signIn, `{"email":{"` + huge[:400_000] + `":1,"` + huge[:400_000] + `":1}}`, "", ""},
		"parameter":              {signIn + "?" + url.QueryEscape(huge[:2500]) + "=1", "{}", "", ""},
		"parameter not UTF-8":    {signIn + "?" + strings.Repeat("%ff", 2500) + "=1", "{}", "", ""},
		"header":                 {signIn, "{}", "X-Gatehouse-" + strings.Repeat("x", 8000), "1"},
		"Connection":             {signIn, "{}", "Connection", strings.Repeat("x", 8000)},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, q.path, strings.NewReader(q.body))
			r.Header.Set("Content-Type", "application/json")
			if q.header != "" {
				r.Header.Set(q.header, q.value)
			}
			w := serve(h, r)
			var p httpserver.Problem
			size := w.Body.Len()
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusBadRequest || len(p.Errors) != 1 {
				t.Fatalf("%d, %v, %d errors: %.300s", w.Code, err, len(p.Errors), w.Body)
			}
			told := p.Errors[0]
			if size > 1024 {
				t.Errorf("%d bytes are answered", size)
			}
			told.Field = strings.TrimPrefix(told.Field, "email.") // ours
			if n := utf8.RuneCountInString(told.Field); n > 64 || strings.ContainsRune(told.Field, utf8.RuneError) && name != "parameter not UTF-8" {
				t.Errorf("%d characters are repeated: %q", n, told.Field)
			}
			if n := utf8.RuneCountInString(told.Description); n > 100 {
				t.Errorf("%d characters describe it: %q", n, told.Description)
			}
			if name != "Connection" && name != "field twice" && utf8.RuneCountInString(told.Field) < 64 {
				t.Errorf("only %q is repeated", told.Field)
			}
		})
	}
}
