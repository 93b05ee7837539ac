package pages_test

import "testing"

// R17: who changes their password on the page is told by mail, in the language of the page.
func TestAChangeOfThePasswordIsTold(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	w.mailing(t)
	b := w.browser()
	b.signIn(t, email)
	b.header.Set("Accept-Language", "de")
	b.post(t, "/account/password", "old_password", pass, "new_password", newPass, "repeat", newPass).leads(t, "/account?done=password")
	told := w.office.Read(t, w.Mails)
	if len(told) != 1 || told[0].To != email || told[0].Language != "de" {
		t.Errorf("told: %+v", told)
	}
}
