package pages_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// accepting takes over every address.
type accepting struct{}

func (accepting) SetEmail(context.Context, login.Email) error { return nil }

// emails are the changes of addresses of a world, with a desk or without.
func (w *world) emails(mailing bool) *emailchange.Service {
	p := emailchange.Params{
		Store: w.Emails, Logins: w.Logins, Codes: w.MailedCodes, Directory: accepting{}, Timeout: time.Second, Grace: time.Second, Retry: time.Second,
		Now: func() time.Time { return w.now }, Wake: func() {}, Log: w.logins.Log,
	}
	if mailing {
		p.Desk = w.office.Desk
	}
	return emailchange.NewService(p)
}

// A person asks for another address on the account's page, confirms it by the link of a mail where
// they are signed in, and signs in with it; looking at the link changes nothing, and nobody else
// has anything of it.
func TestAnAddressIsChangedOnThePages(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	w.mailing(t)
	b := w.browser()
	b.signIn(t, email)
	b.get(t, "/account").says(t, http.StatusOK, `action="/account/email"`)
	b.post(t, "/account/email", "new_email", "nobody").says(t, http.StatusBadRequest, `value="nobody"`, "new_email-wrong")
	b.post(t, "/account/email", "new_email", email).says(t, http.StatusBadRequest, "the address of your account already")
	b.post(t, "/account/email", "new_email", "ada@example.org").leads(t, "/account?done=email-asked")
	b.get(t, "/account?done=email-asked").says(t, http.StatusOK, "a mail to the new address", email)
	link := w.link(t)
	for range 20 {
		b.get(t, link).says(t, http.StatusOK, "Confirm your new address", `action="/confirm-email"`, email)
	}
	code := hiddenCode.FindStringSubmatch(b.get(t, link).page)[1]
	stranger := w.browser()
	stranger.get(t, link).says(t, http.StatusOK, "Sign in to your account in this browser first")
	stranger.post(t, "/confirm-email", "code", code).leads(t, "/sign-in")
	w.signedUp(t, "bob@example.com")
	stranger.signIn(t, "bob@example.com")
	stranger.post(t, "/confirm-email", "code", code).says(t, http.StatusUnauthorized, "This link is not good any more")
	b.post(t, "/confirm-email", "code", code).leads(t, "/account?done=email-changed")
	b.get(t, "/account?done=email-changed").says(t, http.StatusOK, "Your address is another one", "ada@example.org")
	b.post(t, "/confirm-email", "code", code).says(t, http.StatusUnauthorized, "This link is not good any more")
	w.browser().post(t, "/sign-in", "email", "ada@example.org", "password", pass).leads(t, "/account")
}

// Who was signed in long ago has to confirm that it is them.
func TestAnAddressIsChangedByWhoSignedInLately(t *testing.T) { // R17
	w := newWorld(t, 100)
	w.signedUp(t, email)
	w.mailing(t)
	b := w.browser()
	b.signIn(t, email)
	w.now = w.now.Add(6 * time.Minute)
	if a := b.post(t, "/account/email", "new_email", "ada@example.org"); a.Code != http.StatusSeeOther || a.Header().Get("Location") == "/account?done=email-asked" {
		t.Errorf("%d to %s", a.Code, a.Header().Get("Location"))
	}
	if read := w.office.Read(t, w.Mails); len(read) != 0 {
		t.Errorf("told %+v", read)
	}
}
