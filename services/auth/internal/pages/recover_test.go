package pages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
)

// A password is recovered by mail: the page says so, the link leads to a form that however many
// looks leave as it is, and its password is the new one. Nobody is signed in by it, and every
// browser is signed out.
func TestAPasswordIsRecoveredByMail(t *testing.T) { // R14, R22
	w := newWorld(t, 100)
	w.signedUp(t, email)
	w.mailing(t)
	signedIn, b := w.browser(), w.browser()
	signedIn.signIn(t, email)
	b.header.Set("Accept-Language", "de")
	b.header.Set("X-Forwarded-Host", "evil.example")
	b.get(t, "/sign-in").says(t, http.StatusOK, `<a href="/recover">Passwort vergessen?</a>`)
	b.get(t, "/recover").says(t, http.StatusOK, `action="/recover"`)
	b.post(t, "/recover", "email", "nobody").says(t, http.StatusBadRequest, `value="nobody"`)
	b.post(t, "/recover", "email", email).leads(t, "/recover?done=mailed")
	b.get(t, "/recover?done=mailed").says(t, http.StatusOK, "Sehen Sie nach Ihrer E-Mail")
	link := w.link(t) // of the issuer, whatever the request called this host
	var code string
	for range 20 { // as scanners of mail do
		a := w.browser().get(t, link)
		a.says(t, http.StatusOK, "Choose another password", `action="/reset-password"`, email)
		code = hiddenCode.FindStringSubmatch(a.page)[1]
	}
	b.post(t, "/reset-password", "code", code, "new_password", "short", "repeat", "short").says(t, http.StatusBadRequest, "mindestens 15 Zeichen", `value="`+code+`"`)
	b.post(t, "/reset-password", "code", code, "new_password", newPass, "repeat", pass).says(t, http.StatusBadRequest, `value="`+code+`"`)
	b.post(t, "/reset-password", "code", code, "new_password", "gatehouse gatehouse", "repeat", "gatehouse gatehouse").says(t, http.StatusBadRequest, `value="`+code+`"`)
	b.post(t, "/reset-password", "code", code, "new_password", newPass, "repeat", newPass).leads(t, "/sign-in?done=reset")
	if b.cookie != "" {
		t.Error("signed in by a reset")
	}
	b.get(t, "/sign-in?done=reset").says(t, http.StatusOK, "Ihr Passwort ist jetzt ein anderes")
	signedIn.get(t, "/account").leads(t, "/sign-in")
	w.browser().post(t, "/sign-in", "email", email, "password", newPass).leads(t, "/account")
	b.post(t, "/reset-password", "code", code, "new_password", newPass, "repeat", newPass).says(t, http.StatusUnauthorized, "Dieser Link gilt nicht mehr")
	b.get(t, link).says(t, http.StatusUnauthorized, "Dieser Link gilt nicht mehr")
}

// Who asks for a mail learns nothing of the address: the answers are the same to the byte.
func TestRecoveriesAreOneAnswer(t *testing.T) { // R10, R15
	w := newWorld(t, 100)
	w.signedUp(t, email)
	w.mailing(t)
	var want answer
	for i := range 8 { // more than an address is told of
		for _, address := range []string{email, "nobody@example.com"} {
			got := w.browser().post(t, "/recover", "email", address)
			got.leads(t, "/recover?done=mailed")
			if want.ResponseRecorder == nil {
				want = got
			}
			if got.page != want.page || len(got.Header()) != len(want.Header()) {
				t.Errorf("%s, %d: %v %q, want %v %q", address, i, got.Header(), got.page, want.Header(), want.page)
			}
			for name := range want.Header() {
				if got.Header().Get(name) != want.Header().Get(name) {
					t.Errorf("%s, %d: %s is %q", address, i, name, got.Header().Get(name))
				}
			}
		}
	}
}

// Without mail nothing leads to a recovery, and the page says why there is none.
func TestWithoutMailThereIsNoRecovery(t *testing.T) {
	w := newWorld(t, 100)
	b := w.browser()
	if a := b.get(t, "/sign-in"); strings.Contains(a.page, "/recover") {
		t.Error("the page that signs in leads to a recovery")
	}
	b.get(t, "/recover").says(t, http.StatusBadRequest, "sends no mails")
	b.post(t, "/recover", "email", email).says(t, http.StatusBadRequest, "sends no mails")
}

// resets are those of a world, with a desk or without.
func (w *world) resets(mailing bool) *reset.Service {
	p := reset.Params{
		Store: w.Resets, Logins: w.Logins, Codes: w.MailedCodes, Hasher: w.hasher, Throttle: w.Throttled(func() time.Time { return w.now }),
		RevocationPeriod: time.Hour, Now: func() time.Time { return w.now }, Wake: func() {}, Log: w.logins.Log,
	}
	if mailing {
		p.Desk = w.office.Desk
	}
	return reset.NewService(p)
}
