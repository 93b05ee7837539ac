package openid_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// stands suspends the person or restores them.
func (w *world) stands(t *testing.T, revision int64, suspended bool) {
	t.Helper()
	n := login.Standing{UserID: w.userID, Revision: revision, Suspended: suspended, RevokedUntil: w.now.Add(time.Hour)}
	if err := w.Logins.SetStanding(t.Context(), n, postgrestest.Event("auth.login_suspended")); err != nil {
		t.Fatal(err)
	}
}

// Whatever a suspended person had in applications is worth nothing at once: the browser session, a
// code that was not redeemed, refresh tokens, access tokens at UserInfo and introspection, and,
// once the revocation is heard, wherever access tokens are verified. Restored, the person signs in
// anew.
func TestASuspensionOvertakesEverything(t *testing.T) { // R22, R31, R37
	w := newWorld(t)
	told := w.grant(t, "scope", "openid offline_access")
	ofBackend := w.grantTo(t, backendID, "scope", "openid")
	code := w.code(t)
	w.stands(t, 2, true)
	if q := sentTo(t, w.authorize(w.asks("prompt", "none").Encode(), w.cookie)).Query(); q.Get("error") != "login_required" || q.Get("code") != "" {
		t.Errorf("without a page, answered %v", q)
	}
	if at := sentTo(t, w.authorize(w.asks().Encode(), w.cookie)); at.Path != "/sign-in" {
		t.Errorf("sent to %s", at)
	}
	for name, form := range map[string]url.Values{"a code": redeems(code), "a refresh token": refreshes(told.text("refresh_token"))} {
		if r, refused := post(t, w.Token, form); r.StatusCode != http.StatusBadRequest || refused["error"] != "invalid_grant" {
			t.Errorf("%s is answered %d %v", name, r.StatusCode, refused)
		}
	}
	if r, about := w.tells(t, "GET", "", "", bearer(told.text("access_token"))); r.StatusCode != http.StatusUnauthorized || about["sub"] != nil {
		t.Errorf("UserInfo: %d %v", r.StatusCode, about)
	}
	r, about := post(t, w.Introspect, url.Values{"token": {ofBackend.text("access_token")}}, basic(backendID, "secret"))
	if r.StatusCode != http.StatusOK || len(about) != 1 || about["active"] != false {
		t.Errorf("introspection: %d %v", r.StatusCode, about)
	}
	w.refresh(t)
	if _, err := w.verifier.VerifyIssued(t.Context(), told.text("access_token")); err == nil {
		t.Error("the access token is still good")
	}
	proof := session.Proof{UserID: w.userID, OrganizationID: w.org, AMR: []string{"pwd"}, Attempt: postgrestest.Event("auth.signed_in")}
	if _, _, err := w.browsers.Begin(t.Context(), proof); err == nil {
		t.Error("a browser session began")
	}
	if _, err := w.sessions.Start(t.Context(), proof); err == nil {
		t.Error("a session began")
	}
	w.stands(t, 3, false)
	if _, err := w.browsers.Find(t.Context(), w.cookie); err == nil {
		t.Error("the browser session of before is back")
	}
	w.cookie = w.signIn(t, w.userID)
	w.grant(t, "scope", "openid offline_access")
}
