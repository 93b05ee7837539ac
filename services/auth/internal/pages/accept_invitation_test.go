package pages_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

// invited mails an invitation.
func (w *world) invited(t *testing.T, revision int64) (userID string) {
	t.Helper()
	userID = uuid.NewString()
	p := w.logins.Params
	p.Desk = w.office.Desk
	check.NoError(t, login.NewService(p).Invite(postgrestest.Request(t.Context(), "auth.invitation_mailed"), login.Invitation{UserID: userID, Email: email, Revision: revision}))
	return userID
}

// An invitation leads to a form that however many looks leave as it is; a new password, twice,
// accepts it and signs in.
func TestAcceptInvitation(t *testing.T) {
	w := newWorld(t, 100)
	w.mailing(t)
	userID := w.invited(t, 1)
	link := w.link(t)
	b := w.browser()
	b.header.Set("Accept-Language", "de")
	var code string
	for range 20 { // as scanners of mail do
		a := b.get(t, link)
		a.says(t, http.StatusOK, "Ihre Einladung annehmen", `action="/accept-invitation"`, `autocomplete="new-password"`)
		code = hiddenCode.FindStringSubmatch(a.page)[1]
	}
	for _, c := range []struct {
		password, repeat string
		says             string
	}{
		{"", "", "Geben Sie Ihr Passwort ein."}, {"short", "short", "mindestens 15 Zeichen"}, {pass, pass + "!", "id=\"repeat-wrong\""},
		{"123456789012345", "123456789012345", "keine Folge"},
	} {
		b.post(t, "/accept-invitation", "code", code, "password", c.password, "repeat", c.repeat).says(t, http.StatusBadRequest, c.says, `value="`+code+`"`)
	}
	if b.cookie != "" {
		t.Error("signed in before the invitation was accepted")
	}
	b.post(t, "/accept-invitation", "code", code, "password", pass, "repeat", pass).leads(t, "/account")
	if b.cookie == "" || b.device == nil {
		t.Error("not signed in, or the device is not known")
	}
	b.get(t, "/account").says(t, http.StatusOK, email)
	recorded := 0
	for _, e := range w.Recorded(t) {
		if e.Actor.ID == userID && e.ObjectID == userID {
			recorded++
		}
	}
	if recorded != 2 { // R66: the acceptance and the sign-in
		t.Errorf("%d events are the person's", recorded)
	}
	b.post(t, "/accept-invitation", "code", code, "password", pass, "repeat", pass).says(t, http.StatusUnauthorized, "Dieser Link gilt nicht mehr", "älter als sieben Tage")
	b.post(t, "/accept-invitation", "password", pass, "repeat", pass).says(t, http.StatusBadRequest, "Dieser Link gilt nicht mehr")
}

// What goes wrong is said where it can be mended.
func TestRefusedAcceptances(t *testing.T) {
	w := newWorld(t, 100)
	w.mailing(t)
	w.invited(t, 1)
	code := hiddenCode.FindStringSubmatch(w.browser().get(t, w.link(t)).page)[1]
	w.identity.fail = unavailable
	b := w.browser()
	b.post(t, "/accept-invitation", "code", code, "password", pass, "repeat", pass).says(t, http.StatusServiceUnavailable, "Your account is being created.")
	w.identity.fail = nil
	if b.cookie != "" {
		t.Error("signed in")
	}
	b.header.Set("Sec-Fetch-Site", "cross-site") // R25
	b.post(t, "/accept-invitation", "code", code, "password", pass, "repeat", pass).says(t, http.StatusForbidden)
}
