package openid_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

const bye = "https://app.example/bye"

// logout sends a browser to the logout endpoint.
func (w *world) logout(q url.Values, cookie string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, issuer+openid.LogoutPath+"?"+q.Encode(), nil)
	r = r.WithContext(postgrestest.Request(context.Background(), "auth.signed_out"))
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: session.CookieName, Value: cookie})
	}
	answer := httptest.NewRecorder()
	w.EndSession(answer, r)
	return answer.Result()
}

// signedIn reports whether the person's browser session goes on.
func (w *world) signedIn(t *testing.T) bool {
	t.Helper()
	_, err := w.browsers.Find(t.Context(), w.cookie)
	return err == nil
}

// A client that shows whose session it is about need not have the person asked.
func TestLogoutWithAHint(t *testing.T) {
	w := newWorld(t)
	told := w.grant(t, "scope", "openid offline_access")
	r := w.logout(url.Values{"id_token_hint": {told.text("id_token")}, "post_logout_redirect_uri": {bye}, "state": {"s t"}}, w.cookie)
	to := sentTo(t, r)
	if !strings.HasPrefix(to.String(), bye+"?") || to.Query().Get("state") != "s t" || w.signedIn(t) {
		t.Errorf("sent to %s, signed in %t", to, w.signedIn(t))
	}
	if cookie := r.Header.Get("Set-Cookie"); !strings.HasPrefix(cookie, session.CookieName+"=;") {
		t.Errorf("the cookie is %q", cookie)
	}
	w.refresh(t)
	if _, err := w.verifier.VerifyIssued(t.Context(), told.text("access_token")); err == nil {
		t.Error("the client's access token is still good")
	}
	events := w.Recorded(t)
	if last := events[len(events)-1]; last.Action != "auth.signed_out" || last.ObjectID != w.userID {
		t.Errorf("recorded %+v", last)
	}
}

// Otherwise anybody who can send a browser here would sign people out.
func TestLogoutAsksThePerson(t *testing.T) {
	w := newWorld(t)
	w.grant(t)
	for name, q := range map[string]url.Values{
		"no hint":              {},
		"only a client":        {"client_id": {webID}, "post_logout_redirect_uri": {bye}, "state": {"s"}},
		"a hint of other days": {"id_token_hint": {hintOf("someone")}, "post_logout_redirect_uri": {bye}},
	} {
		t.Run(name, func(t *testing.T) {
			to := sentTo(t, w.logout(q, w.cookie))
			back, err := url.Parse(to.Query().Get("return_to"))
			if err != nil || to.Host != "" || to.Path != "/sign-out" || back.Host != "" || back.Path != openid.LogoutPath || back.Query().Encode() != q.Encode() || !w.signedIn(t) {
				t.Fatalf("sent to %s, signed in %t", to, w.signedIn(t))
			}
			r := w.logout(back.Query(), "") // the page has signed the person out
			if !q.Has("post_logout_redirect_uri") {
				if to := sentTo(t, r); to.String() != "/sign-out" {
					t.Errorf("afterwards sent to %s", to)
				}
				return
			}
			if to := sentTo(t, r); !strings.HasPrefix(to.String(), bye) || to.Query().Get("state") != q.Get("state") {
				t.Errorf("afterwards sent to %s", to)
			}
		})
	}
}

// Nobody is sent where no client is registered, and nothing is ended then.
func TestLogoutSendsNobodyElsewhere(t *testing.T) { // R29
	w := newWorld(t)
	hint := w.grant(t).text("id_token")
	for name, query := range map[string]string{
		"nobody's":        url.Values{"post_logout_redirect_uri": {bye}}.Encode(),
		"unknown client":  url.Values{"post_logout_redirect_uri": {bye}, "client_id": {unknownID}}.Encode(),
		"another client":  url.Values{"post_logout_redirect_uri": {bye}, "client_id": {backendID}}.Encode(),
		"a path below":    url.Values{"post_logout_redirect_uri": {bye + "/x"}, "id_token_hint": {hint}}.Encode(),
		"a callback":      url.Values{"post_logout_redirect_uri": {callback}, "id_token_hint": {hint}}.Encode(),
		"another host":    url.Values{"post_logout_redirect_uri": {"https://app.example.evil/bye"}, "id_token_hint": {hint}}.Encode(),
		"no scheme":       url.Values{"post_logout_redirect_uri": {"//app.example/bye"}, "id_token_hint": {hint}}.Encode(),
		"a forged hint":   url.Values{"post_logout_redirect_uri": {bye}, "id_token_hint": {"e30.e30."}}.Encode(),
		"of two clients":  url.Values{"post_logout_redirect_uri": {bye}, "id_token_hint": {hint}, "client_id": {backendID}}.Encode(),
		"the hint twice":  url.Values{"post_logout_redirect_uri": {bye}, "id_token_hint": {hint, hint}}.Encode(),
		"malformed":       "id_token_hint=" + url.QueryEscape(hint) + "&%zz",
		"semicolons":      "id_token_hint=" + url.QueryEscape(hint) + ";x",
		"unknown, no uri": url.Values{"id_token_hint": {"e30.e30."}}.Encode(),
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, issuer+openid.LogoutPath+"?"+query, nil)
			r.AddCookie(&http.Cookie{Name: session.CookieName, Value: w.cookie})
			answer := httptest.NewRecorder()
			w.EndSession(answer, r)
			if answer.Code != 400 || answer.Header().Get("Location") != "" || !w.signedIn(t) {
				t.Errorf("%d to %q, signed in %t", answer.Code, answer.Header().Get("Location"), w.signedIn(t))
			}
		})
	}
}

// What goes wrong here is said on a page, too, and is no refusal of the application.
func TestLogoutWithoutADatabase(t *testing.T) { // R62
	w := newWorld(t)
	w.Pool.Close()
	r := w.logout(url.Values{}, w.cookie)
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode < 500 || !strings.Contains(string(body), "That did not work") {
		t.Errorf("%d %v\n%s", r.StatusCode, err, body)
	}
}

func TestLogoutByPostBecomesAGet(t *testing.T) {
	w := newWorld(t)
	q := url.Values{"post_logout_redirect_uri": {bye}, "client_id": {webID}}
	r := httptest.NewRequest(http.MethodPost, issuer+openid.LogoutPath, strings.NewReader(q.Encode()))
	form(r)
	answer := httptest.NewRecorder()
	w.EndSession(answer, r)
	if to := sentTo(t, answer.Result()); to.Host != "" || to.Path != openid.LogoutPath || to.RawQuery != q.Encode() {
		t.Errorf("sent to %s", to)
	}
}
