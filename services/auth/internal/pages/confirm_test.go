package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/token"
)

// R17, R29: who signed in a while ago is asked to confirm that it is them before the password is
// changed, comes back to the account, and is told that nothing was changed.
func TestOldSessionsAreAskedToConfirm(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	b := w.browser()
	b.signIn(t, email)
	w.now = w.now.Add(token.FreshFor)
	const form, confirm = `action="/account/password"`, `href="/sign-in?return_to=%2Faccount%3Fdone%3Dconfirmed"`
	b.get(t, "/account").says(t, http.StatusOK, form)
	w.now = w.now.Add(time.Second)
	a := b.get(t, "/account")
	a.says(t, http.StatusOK, confirm, "Confirm that it is you")
	if strings.Contains(a.page, form) {
		t.Errorf("the page has a form that would be refused:\n%s", a.page)
	}
	repeat := "/sign-in?return_to=" + url.QueryEscape("/account?done=repeat")
	w.Unchanged(t, "a form of a while ago", func() {
		for _, sent := range [][]string{
			{"old_password", pass, "new_password", newPass, "repeat", newPass}, {"old_password", "not the password at all", "new_password", newPass, "repeat", newPass}, nil,
		} {
			b.post(t, "/account/password", sent...).leads(t, repeat)
		}
	})
	a = b.get(t, repeat)
	a.says(t, http.StatusOK, "Signed in as ada@example.com", "Confirm that it is you.", `value="ada@example.com"`, `name="return_to" value="/account?done=repeat"`)
	if strings.Contains(a.page, "/sign-up") {
		t.Errorf("it offers an account:\n%s", a.page)
	}
	b.post(t, "/sign-in", "email", email, "password", "not the password at all", "return_to", "/account?done=repeat").says(t, http.StatusUnauthorized)
	b.post(t, "/account/password", "old_password", pass, "new_password", newPass, "repeat", newPass).leads(t, repeat)
	b.post(t, "/sign-in", "email", email, "password", pass, "return_to", "/account?done=repeat").leads(t, "/account?done=repeat")
	b.get(t, "/account?done=repeat").says(t, http.StatusOK, form, `role="status"`, "Nothing has been changed yet")
	b.get(t, repeat).leads(t, "/account?done=repeat") // from a tab of before
	b.post(t, "/account/password", "old_password", pass, "new_password", newPass, "repeat", newPass).leads(t, "/account?done=password")
}

// Who is asked before there is a form is told that it is there now; in the browser's language.
func TestConfirmedInAdvance(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	b := w.browser()
	b.header.Set("Accept-Language", "de")
	b.signIn(t, email)
	w.now = w.now.Add(token.FreshFor + time.Second)
	b.get(t, "/account").says(t, http.StatusOK, "Bestätigen, dass Sie es sind")
	b.post(t, "/sign-in", "email", email, "password", pass, "return_to", "/account?done=confirmed").leads(t, "/account?done=confirmed")
	b.get(t, "/account?done=confirmed").says(t, http.StatusOK, `action="/account/password"`, "In den nächsten fünf Minuten")
}
