package openid_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func parsed(t *testing.T, body []byte) answer {
	t.Helper()
	var told answer
	if len(body) > 0 && json.Unmarshal(body, &told) != nil {
		t.Fatalf("answered %q", body)
	}
	return told
}

// grantTo has the person sign in to the backend, and returns what that gets.
func (w *world) grantTo(t *testing.T, id string, pairs ...string) answer {
	t.Helper()
	code := w.code(t, append([]string{"client_id", id}, pairs...)...)
	r, told := post(t, w.Token, redeems(code, "client_id", ""), basic(id, "secret"))
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", r.StatusCode, told)
	}
	return told
}

func TestIntrospectionOfAGoodToken(t *testing.T) {
	w := newWorld(t)
	compact := w.grantTo(t, backendID).text("access_token")
	claims, err := w.verifier.VerifyIssued(t.Context(), compact)
	if err != nil {
		t.Fatal(err)
	}
	want := answer{
		"active": true, "scope": "openid email", "client_id": backendID, "token_type": "Bearer", "sub": w.userID, "iss": issuer, "jti": claims.ID,
		"aud": []any{issuer, "https://api.example"}, "iat": float64(w.now.Unix()), "exp": float64(w.now.Add(10 * time.Minute).Unix()),
		"auth_time": float64(claims.AuthTime.Unix()),
	}
	r, told := post(t, w.Introspect, url.Values{"token": {compact}, "token_type_hint": {"refresh_token"}}, basic(backendID, "secret"))
	if diff := cmp.Diff(want, told); diff != "" || r.StatusCode != 200 {
		t.Errorf("%d (-want +got):\n%s", r.StatusCode, diff)
	}
}

// What is not good, and what is none of the client's business, is one answer to the byte.
func TestIntrospectionTellsNothingElse(t *testing.T) { // R37
	w := newWorld(t)
	told := w.grantTo(t, backendID, "scope", "openid offline_access")
	good := told.text("access_token")
	ended := w.grantTo(t, backendID).text("access_token")
	claims, err := w.verifier.VerifyIssued(t.Context(), ended)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.sessions.End(postgresContext(t), w.userID, claims.SessionID); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ token, who string }{
		"garbage":               {"x", backendID},
		"cut":                   {good[:len(good)-3], backendID},
		"an ID token":           {told.text("id_token"), backendID},
		"a refresh token":       {told.text("refresh_token"), backendID},
		"ended a moment ago":    {ended, backendID},
		"none of its business":  {good, otherID},
		"long":                  {strings.Repeat("x", 20000), backendID},
		"another one's garbage": {"x", otherID},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, issuer, strings.NewReader(url.Values{"token": {c.token}}.Encode()))
			form(r)
			basic(c.who, "secret")(r)
			recorder := httptest.NewRecorder()
			w.Introspect(recorder, r)
			if recorder.Code != 200 || recorder.Body.String() != `{"active":false}` {
				t.Errorf("%d %s", recorder.Code, recorder.Body)
			}
		})
	}
	w.now = w.now.Add(11 * time.Minute)
	w.refresh(t)
	if _, told := post(t, w.Introspect, url.Values{"token": {good}}, basic(backendID, "secret")); len(told) != 1 || told["active"] != false {
		t.Errorf("expired: %v", told)
	}
}

func TestIntrospectionIsForClientsWithASecret(t *testing.T) { // R35, R37
	w := newWorld(t)
	compact := w.grant(t).text("access_token")
	for name, c := range map[string]struct {
		form   url.Values
		change func(*http.Request)
		code   string
	}{
		"nobody":       {url.Values{"token": {compact}}, func(*http.Request) {}, "invalid_client"},
		"public":       {url.Values{"token": {compact}, "client_id": {webID}}, func(*http.Request) {}, "invalid_client"},
		"wrong secret": {url.Values{"token": {compact}}, basic(backendID, "x"), "invalid_client"},
		"by token":     {url.Values{"token": {compact}}, bearer(compact), "invalid_client"},
		"no token":     {url.Values{}, basic(backendID, "secret"), "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, told := post(t, w.Introspect, c.form, c.change); told["error"] != c.code || told["active"] != nil {
				t.Errorf("answered %v", told)
			}
		})
	}
}

// Either token ends the session, with both of them.
func TestRevocationEndsTheGrant(t *testing.T) { // R36
	for _, name := range []string{"access_token", "refresh_token"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			told, other := w.grant(t, "scope", "openid offline_access"), w.grant(t)
			for range 2 {
				r, answered := post(t, w.Revoke, url.Values{"token": {told.text(name)}, "client_id": {webID}})
				if r.StatusCode != 200 || len(answered) != 0 {
					t.Fatalf("%d %v", r.StatusCode, answered)
				}
			}
			w.refresh(t)
			if _, err := w.verifier.VerifyIssued(t.Context(), told.text("access_token")); err == nil {
				t.Error("the access token is still good")
			}
			if r, _ := post(t, w.Token, refreshes(told.text("refresh_token"))); r.StatusCode != 400 {
				t.Error("the refresh token is still good")
			}
			if _, err := w.verifier.VerifyIssued(t.Context(), other.text("access_token")); err != nil {
				t.Errorf("another session: %v", err)
			}
		})
	}
}

func TestRevocationIsForWhomTheTokenIs(t *testing.T) { // R36
	w := newWorld(t)
	told := w.grantTo(t, backendID, "scope", "openid offline_access")
	for name, c := range map[string]struct {
		form   url.Values
		change func(*http.Request)
		status int
		code   any
	}{
		"unknown":               {url.Values{"token": {"x"}}, basic(otherID, "secret"), 200, nil},
		"unknown kind":          {url.Values{"token": {"x"}, "token_type_hint": {"y"}}, basic(otherID, "secret"), 200, nil},
		"an ID token":           {url.Values{"token": {told.text("id_token")}}, basic(otherID, "secret"), 200, nil},
		"another one's access":  {url.Values{"token": {told.text("access_token")}}, basic(otherID, "secret"), 400, "invalid_grant"},
		"another one's refresh": {url.Values{"token": {told.text("refresh_token")}}, basic(otherID, "secret"), 200, nil}, // unknown to it
		"public":                {url.Values{"token": {told.text("access_token")}, "client_id": {webID}}, func(*http.Request) {}, 400, "invalid_grant"},
		"nobody":                {url.Values{"token": {told.text("access_token")}}, func(*http.Request) {}, 401, "invalid_client"},
		"without the secret":    {url.Values{"token": {told.text("access_token")}, "client_id": {backendID}}, func(*http.Request) {}, 401, "invalid_client"},
		"no token":              {url.Values{}, basic(backendID, "secret"), 400, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			if r, answered := post(t, w.Revoke, c.form, c.change); r.StatusCode != c.status || answered["error"] != c.code {
				t.Errorf("%d %v", r.StatusCode, answered)
			}
		})
	}
	w.refresh(t)
	if _, err := w.verifier.VerifyIssued(t.Context(), told.text("access_token")); err != nil {
		t.Errorf("somebody ended it: %v", err)
	}
	if r, answered := post(t, w.Token, refreshes(told.text("refresh_token"), "client_id", ""), basic(backendID, "secret")); r.StatusCode != 200 {
		t.Errorf("somebody ended it: %v", answered)
	}
}
