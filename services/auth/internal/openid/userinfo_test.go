package openid_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// tells asks UserInfo, and returns the status and the document.
func (w *world) tells(t *testing.T, method, query, body string, change func(*http.Request)) (*http.Response, answer) {
	t.Helper()
	r := httptest.NewRequest(method, issuer+"/oauth2/userinfo"+query, strings.NewReader(body))
	change(r)
	recorder := httptest.NewRecorder()
	w.UserInfo(recorder, r)
	response := recorder.Result()
	return response, document(t, response)
}

func bearer(compact string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+compact) }
}

func form(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }

// The modules about UserInfo (TestBasicConformance) have the ways to ask.
func TestUserInfoTellsWhatTheScopesAllow(t *testing.T) {
	w := newWorld(t)
	w.roles.held = []access.Question{{Relation: "auditor", Object: "platform:gatehouse"}}
	if _, err := w.Pool.Exec(t.Context(), `update auth.logins set email_verified = true`); err != nil {
		t.Fatal(err)
	}
	l, err := w.People.Person(t.Context(), w.userID)
	if err != nil {
		t.Fatal(err)
	}
	for scope, want := range map[string]answer{
		"openid":         {"sub": w.userID},
		"openid email":   {"sub": w.userID, "email": "ada@example.com", "email_verified": true},
		"openid profile": {"sub": w.userID, "org": w.org, "updated_at": float64(l.UpdateTime.Unix())},
		"openid roles":   {"sub": w.userID, "roles": []any{"platform:gatehouse#auditor"}},
	} {
		compact := w.grant(t, "scope", scope).text("access_token")
		r, told := w.tells(t, "GET", "", "", func(r *http.Request) { r.Header.Set("Authorization", "bearer "+compact) }) // in any case
		if diff := cmp.Diff(want, told); diff != "" || r.StatusCode != 200 || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d (-want +got):\n%s", scope, r.StatusCode, diff)
		}
	}
}

func TestUserInfoRefuses(t *testing.T) { // R42, R49
	w := newWorld(t)
	told := w.grant(t)
	good := told.text("access_token")
	own, err := w.sessions.Start(t.Context(), session.Proof{UserID: w.userID, OrganizationID: w.org, Attempt: postgrestest.Event("auth.signed_in")})
	if err != nil {
		t.Fatal(err)
	}
	unsigned := good[:strings.LastIndex(good, ".")+1]
	none := func(*http.Request) {}
	for name, c := range map[string]struct {
		method, query, body string
		change              func(*http.Request)
		status              int
		code                string
	}{
		"nothing":         {"GET", "", "", none, 401, "invalid_token"},
		"in the query":    {"GET", "?access_token=" + good, "", none, 400, "invalid_request"},
		"twice":           {"POST", "", "access_token=" + good, func(r *http.Request) { form(r); bearer(good)(r) }, 400, "invalid_request"},
		"two headers":     {"GET", "", "", func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + good, "Bearer " + good} }, 400, "invalid_request"},
		"basic":           {"GET", "", "", basic(backendID, "secret"), 400, "invalid_request"},
		"JSON":            {"POST", "", `{"access_token":"x"}`, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 400, "invalid_request"},
		"no token":        {"GET", "", "", bearer("x"), 401, "invalid_token"},
		"unsigned":        {"GET", "", "", bearer(unsigned), 401, "invalid_token"},
		"the ID token":    {"GET", "", "", bearer(told.text("id_token")), 401, "invalid_token"},
		"the platform's":  {"GET", "", "", bearer(own.Access), 401, "invalid_token"},
		"without openid":  {"GET", "", "", bearer(w.grant(t, "scope", "email").text("access_token")), 403, "insufficient_scope"},
		"a refresh token": {"GET", "", "", bearer(w.grant(t, "scope", "openid offline_access").text("refresh_token")), 401, "invalid_token"},
	} {
		t.Run(name, func(t *testing.T) {
			r, told := w.tells(t, c.method, c.query, c.body, c.change)
			if r.StatusCode != c.status || told["error"] != c.code || !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), `Bearer error="`+c.code+`"`) {
				t.Errorf("%d %q %v, want %d %s", r.StatusCode, r.Header.Get("WWW-Authenticate"), told, c.status, c.code)
			}
		})
	}
}

func TestUserInfoFailsClosed(t *testing.T) { // R22, R62
	w := newWorld(t)
	compact := w.grant(t, "scope", "openid roles").text("access_token")
	w.roles.err = errors.New("down")
	if r, told := w.tells(t, "GET", "", "", bearer(compact)); r.StatusCode != 503 || told["sub"] != nil {
		t.Errorf("while Authz is down: %d %v", r.StatusCode, told)
	}
	w.roles.err = nil
	w.now = w.now.Add(token.StaleAfter + time.Second)
	if r, told := w.tells(t, "GET", "", "", bearer(compact)); r.StatusCode != 503 || told["sub"] != nil {
		t.Errorf("while the ended sessions are not known: %d %v", r.StatusCode, told)
	}
	w.refresh(t)
	b, err := w.browsers.Find(t.Context(), w.cookie)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.browsers.End(postgresContext(t), b); err != nil {
		t.Fatal(err)
	}
	if r, told := w.tells(t, "GET", "", "", bearer(compact)); r.StatusCode != 401 || told["sub"] != nil { // the list does not know yet
		t.Errorf("after the sign-out: %d %v", r.StatusCode, told)
	}
}

// document reads the JSON of a response.
func document(t *testing.T, r *http.Response) answer {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, body)
}
