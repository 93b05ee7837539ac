package middleware

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// R74: whatever a client gets wrong about a secret, the log says what is wrong and no part of the secret.
func TestLogHoldsNoSecrets(t *testing.T) {
	const signIn, user = "/api/v1/auth/sign-in", "/api/v1/users/one"
	for name, q := range map[string]struct{ method, path, body string }{
		"number":           {"POST", signIn, `{"password":918273645546372819}`},
		"fraction":         {"POST", signIn, `{"password":91827.3645}`},
		"true":             {"POST", signIn, `{"password":true,"email":"canary"}`},
		"array":            {"POST", signIn, `{"password":["canary"]}`},
		"object":           {"POST", signIn, `{"password":{"canary":"canary"}}`},
		"lone surrogate":   {"POST", signIn, `{"password":"\ud800canary"}`},
		"half a pair":      {"POST", signIn, `{"password":"can\ud83dary"}`},
		"unknown escape":   {"POST", signIn, `{"password":"\canary"}`},
		"short escape":     {"POST", signIn, `{"password":"\u918"}`},
		"line break":       {"POST", signIn, "{\"password\":\"\ncanary\"}"},
		"not quoted":       {"POST", signIn, `{"password":canary}`},
		"half quoted":      {"POST", signIn, `{"password":"canary`},
		"after the body":   {"POST", signIn, `{} canary`},
		"unknown field":    {"POST", signIn, `{"canary":1}`},
		"duplicate field":  {"POST", signIn, `{"email":{"canary":1,"canary":2}}`},
		"no object":        {"POST", signIn, `"canary"`},
		"parameter":        {"POST", signIn + "?canary=canary", `{}`},
		"parameter twice":  {"PATCH", user + "?update_mask=canary&update_mask=canary", `{}`},
		"parameter's type": {"PATCH", user + "?update_mask=canary%ff", `{}`},
		"bad percent":      {"POST", signIn + "?password=%ca%naryx", `{}`},
		"semicolon":        {"POST", signIn + "?password=a;canary", `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			h, log := chain(t, nil, nil)
			r := httptest.NewRequest(q.method, q.path, strings.NewReader(q.body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer somebody")
			if w := serve(h, r); w.Code != http.StatusBadRequest {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			told := line(t, log)
			for _, secret := range []string{"canary", "918", "nary", "%na", "ud800", "ud83d", "'c'", "'n'"} {
				if strings.Contains(fmt.Sprint(told), secret) {
					t.Errorf("%q of the secret is in the log: %v", secret, told)
				}
			}
			if told["error"] == nil {
				t.Errorf("the log does not say why: %v", told)
			}
		})
	}
}

// line is the one line of a log, without the members in which any digits may stand.
func line(t *testing.T, log *bytes.Buffer) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(log.Bytes(), &members); err != nil {
		t.Fatalf("not one line: %v: %s", err, log)
	}
	for _, name := range []string{"time", "duration_ms", "trace_id"} {
		delete(members, name)
	}
	return members
}
