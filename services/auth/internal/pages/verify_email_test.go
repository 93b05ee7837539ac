package pages_test

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// link is where the newest mail that waits leads.
func (w *world) link(t *testing.T) string {
	t.Helper()
	told := w.office.Read(t, w.Mails)
	if len(told) == 0 {
		t.Fatal("no mail")
	}
	return regexp.MustCompile(`https://gate\.example(/\S+)`).FindStringSubmatch(told[len(told)-1].Text)[1]
}

var hiddenCode = regexp.MustCompile(`<input type="hidden" name="code" value="([^"]*)">`)

// A sign-up goes on by mail: the page says so, the link leads to a form that however many looks
// leave as it is, and the password that was chosen completes it and signs in.
func TestSignUpByMail(t *testing.T) {
	w := newWorld(t, 100)
	w.mailing(t)
	b := w.browser()
	b.header.Set("Accept-Language", "de")
	b.post(t, "/sign-up", "display_name", "Ada", "email", email, "password", pass, "repeat", pass).leads(t, "/sign-up?done=mailed")
	b.get(t, "/sign-up?done=mailed").says(t, http.StatusOK, "Wir haben Ihnen eine E-Mail geschickt")
	if b.cookie != "" || b.device != nil {
		t.Error("signed in before the address was proven")
	}
	link := w.link(t)
	var code string
	for range 20 { // as scanners of mail do
		a := w.browser().get(t, link)
		a.says(t, http.StatusOK, "Confirm your address", `action="/verify-email"`)
		code = hiddenCode.FindStringSubmatch(a.page)[1]
	}
	b.post(t, "/verify-email", "code", code, "password", newPass).says(t, http.StatusUnauthorized, "Das ist nicht das Passwort", `value="`+code+`"`)
	b.post(t, "/verify-email", "code", code, "password", "").says(t, http.StatusBadRequest, "Geben Sie Ihr Passwort ein.")
	b.post(t, "/verify-email", "code", code, "password", pass).leads(t, "/account")
	if b.cookie == "" || b.device == nil {
		t.Error("not signed in, or the device is not known")
	}
	b.get(t, "/account").says(t, http.StatusOK, email)
	b.post(t, "/verify-email", "code", code, "password", pass).says(t, http.StatusUnauthorized, "Dieser Link gilt nicht mehr")
}

// A sign-up tells nobody whether its address has a login: the answers are the same to the byte.
func TestSignUpsByMailAreOneAnswer(t *testing.T) { // R10
	w := newWorld(t, 100)
	w.signedUp(t, email)
	w.identity.fail = unavailable
	if _, err := w.logins.SignUp(t.Context(), login.SignUp{Email: "pending@example.com", Password: pass, OnPage: true}); err == nil {
		t.Fatal("it is not pending")
	}
	w.mailing(t)
	var want answer
	for i := range 8 { // more than an address is told of
		for _, address := range []string{"new@example.com", email, "pending@example.com"} {
			got := w.browser().post(t, "/sign-up", "email", address, "password", pass, "repeat", pass)
			got.leads(t, "/sign-up?done=mailed")
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

// Links that are not good any more, or never were, lead to one page that says so.
func TestLinksThatAreNotGood(t *testing.T) {
	w := newWorld(t, 100)
	w.mailing(t)
	b := w.browser()
	b.post(t, "/sign-up", "email", email, "password", pass, "repeat", pass).leads(t, "/sign-up?done=mailed")
	code := hiddenCode.FindStringSubmatch(b.get(t, w.link(t)).page)[1]
	w.now = w.now.Add(10 * time.Minute)
	for _, shown := range []string{code, "guessed", string(make([]byte, 65))} {
		b.post(t, "/verify-email", "code", shown, "password", pass).says(t, map[bool]int{true: http.StatusBadRequest, false: http.StatusUnauthorized}[len(shown) > 64], "This link is not good any more")
	}
	b.post(t, "/verify-email", "password", pass).says(t, http.StatusBadRequest, "This link is not good any more")
	if b.cookie != "" {
		t.Error("signed in")
	}
}

// A page that asks for an account's password without a mail configured goes on as before.
func TestSignUpWithoutMailIsNotMailed(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	if told := w.office.Read(t, w.Mails); len(told) != 0 {
		t.Errorf("told: %+v", told)
	}
}

// The account's page says that the address is not proven, and mails a link that changes that.
func TestProvingTheAddressOfAnAccount(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	b := w.browser()
	b.signIn(t, email)
	if page := b.get(t, "/account").page; contains(page, "/account/email/verify") {
		t.Errorf("a mail is offered where none is configured:\n%s", page)
	}
	w.mailing(t)
	b.get(t, "/account").says(t, http.StatusOK, `action="/account/email/verify"`, "You have not confirmed yet that ada@example.com is your address.")
	b.post(t, "/account/email/verify").leads(t, "/account?done=verify")
	b.get(t, "/account?done=verify").says(t, http.StatusOK, "We have sent you a mail.")
	b.post(t, "/verify-email", "code", hiddenCode.FindStringSubmatch(b.get(t, w.link(t)).page)[1], "password", pass).leads(t, "/account")
	if page := b.get(t, "/account").page; contains(page, "/account/email/verify") {
		t.Errorf("it can be proven once more:\n%s", page)
	}
	b.post(t, "/account/email/verify").leads(t, "/account")
	w.browser().post(t, "/account/email/verify").leads(t, "/sign-in")
}

// Who signs up because an application sent them goes back there after the mail, in whatever browser
// it is read: the form may lead to the application, and the link of the mail names neither.
func TestSignUpByMailLeadsBackToTheApplication(t *testing.T) { // R29
	w := newWorld(t, 100)
	w.mailing(t)
	to := w.authorize(callback, "state", "xyz")
	returns := "&return_to=" + url.QueryEscape(to)
	b := w.browser()
	b.post(t, "/sign-up", "email", email, "password", pass, "repeat", pass, "return_to", to).leads(t, "/sign-up?done=mailed"+returns)
	b.get(t, "/sign-up?done=mailed"+returns).says(t, http.StatusOK, "Look for a mail", `href="/sign-in?`+returns[1:])
	link := w.link(t)
	if !regexp.MustCompile(`^/verify-email\?code=[A-Za-z0-9_-]{22}$`).MatchString(link) {
		t.Errorf("the link is %s", link)
	}
	reader := w.browser()
	a := reader.get(t, link)
	a.says(t, http.StatusOK, "to continue to Blue &amp; Green")
	if got := a.leadsFormsTo(); got != "'self' https://app.example" {
		t.Errorf("forms lead to %s", got)
	}
	code := hiddenCode.FindStringSubmatch(a.page)[1]
	reader.post(t, "/verify-email", "code", code, "password", newPass).says(t, http.StatusUnauthorized, "to continue to Blue &amp; Green")
	reader.post(t, "/verify-email", "code", code, "password", pass, "return_to", "/account?done=repeat").leads(t, to)
	if reader.cookie == "" {
		t.Error("not signed in")
	}
}

// An application that is gone by the time of the mail, or has another redirect, keeps nobody from
// the account; who asks for nothing that is good signs nobody up.
func TestApplicationsThatAreGoneLeadToTheAccount(t *testing.T) { // R29
	w := newWorld(t, 100)
	w.mailing(t)
	b := w.browser()
	w.Unchanged(t, "a bad return", func() {
		b.post(t, "/sign-up", "email", email, "password", pass, "repeat", pass, "return_to", "https://evil.example/").says(t, http.StatusBadRequest, "This link does not lead anywhere")
	})
	b.post(t, "/sign-up", "email", email, "password", pass, "repeat", pass, "return_to", w.authorize(callback))
	_, err := w.Pool.Exec(t.Context(), `update auth.clients set redirect_uris = array['https://other.example/callback']`)
	check.NoError(t, err)
	a := b.get(t, w.link(t))
	a.says(t, http.StatusOK, "Confirm your address")
	if got := a.leadsFormsTo(); got != "'self'" {
		t.Errorf("forms lead to %s", got)
	}
	b.post(t, "/verify-email", "code", hiddenCode.FindStringSubmatch(a.page)[1], "password", pass).leads(t, "/account")
}
