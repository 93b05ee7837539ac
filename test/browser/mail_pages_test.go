package browser_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// audited has axe-core look at the page that is open, on every screen.
func (b *tab) audited(name string) {
	b.t.Helper()
	for _, s := range screens() {
		b.on(s)
		b.audit(name + ", " + s.name)
	}
}

// The pages of accounts that are told by mail: a sign-up leads back to the application at which it
// began, and every page is accessible, in both languages.
func TestPagesOfMails(t *testing.T) {
	mailing(t)
	t.Run("application", signUpAtAnApplication)
	for _, language := range []string{"en", "de"} {
		t.Run(language, func(t *testing.T) { accessibleMailPages(t, language) })
	}
}

// signUpAtAnApplication signs up because an application asked for it, and is led back there (R29).
func signUpAtAnApplication(t *testing.T) {
	a, who := newApplication(t), address(t)
	b := person(t, false)
	b.sentTo("/sign-in", chromedp.Navigate(a.asks(a.redirect, "first")))
	b.sentTo("/sign-up", chromedp.Click(chromedp.CSS(`a[href^="/sign-up"]`)))
	b.says("to continue to " + a.name)
	b.sentTo("/sign-up", chromedp.Steps(fill("display_name", "Ada", "email", who, "password", password, "repeat", password), press("/sign-up")))
	b.says("Look for a mail")
	b.open(mailed(t, who, "/verify-email"))
	b.says("to continue to " + a.name)
	a.redeem(t, b.sentBack(a, "first", fill("password", password), press("/verify-email")))
}

func accessibleMailPages(t *testing.T, language string) {
	who, fresh := address(t), "another horse in the battery"
	b := person(t, true)
	b.reads(language)
	b.open("/sign-up")
	b.load(200, "/sign-up?done=mailed", fill("email", who, "password", password, "repeat", password), press("/sign-up"))
	b.audited("look for a mail")
	b.open(mailed(t, who, "/verify-email"))
	b.audited("verify")
	b.load(401, "/verify-email", fill("password", fresh), press("/verify-email"))
	b.audited("verify with a wrong password")
	b.load(200, "/account", fill("password", password), press("/verify-email"))
	b.audited("account")
	phone := accessibleFactorPages(b)
	accessibleEmailPages(b, who)
	b.load(200, "/sign-out", follow("/sign-out"))
	b.load(200, "/sign-out", press("/sign-out"))
	b.open("/sign-in")
	b.load(200, "/sign-in/code", fill("email", who, "password", password), press("/sign-in"))
	b.audited("code")
	b.load(401, "/sign-in/code", fill("code", phone.shown), press("/sign-in/code"))
	b.do(chromedp.Click(chromedp.CSS("summary")))
	b.audited("wrong code")
	b.open("/recover")
	b.audited("recover")
	b.load(200, "/recover?done=mailed", fill("email", who), press("/recover"))
	b.audited("recovery mailed")
	b.open(mailed(t, who, "/reset-password"))
	b.audited("reset")
	b.load(401, "/reset-password", fill("new_password", fresh, "repeat", fresh, "second_factor", phone.shown), press("/reset-password"))
	b.audited("reset with a wrong code")
	b.load(200, "/sign-in?done=reset", fill("new_password", fresh, "repeat", fresh, "second_factor", phone.code()), press("/reset-password"))
	b.audited("sign-in after a reset")
	b.load(401, "/reset-password?code=nobodys", chromedp.Navigate(origin()+"/reset-password?code=nobodys"))
	b.audited("bad link")
	accessibleInvitation(t, b)
	accessibleUnproven(t, language)
}

// accessibleFactorPages sets an authenticator up.
func accessibleFactorPages(b *tab) *authenticator {
	b.t.Helper()
	b.load(200, "/account/authenticator", follow("/account/authenticator"))
	b.audited("authenticator")
	phone := b.phone()
	b.load(401, "/account/authenticator", fill("code", "12345"), press("/account/authenticator"))
	b.audited("authenticator with a wrong code")
	b.load(200, "/account/authenticator", fill("code", phone.code()), press("/account/authenticator"))
	b.audited("recovery codes")
	b.load(200, "/account", follow("/account"))
	b.audited("account with an authenticator")
	return phone
}

// accessibleEmailPages asks for another address and does not take it, and has the account's page
// ask whether it is the person.
func accessibleEmailPages(b *tab, who string) {
	b.t.Helper()
	other := "other-" + who
	b.load(200, "/account?done=email-asked", fill("new_email", other), press("/account/email"))
	b.audited("another address asked for")
	b.open(mailed(b.t, other, "/confirm-email"))
	b.audited("confirm the address")
	conn, err := plat.Database(b.t.Context())
	check.NoError(b.t, err)
	defer func() { _ = conn.Close(b.t.Context()) }()
	_, err = conn.Exec(b.t.Context(), `update auth.browser_sessions set auth_time = auth_time - interval '1 hour'`)
	check.NoError(b.t, err)
	b.open("/account")
	b.audited("account of who signed in a while ago")
	b.load(200, "/sign-in?return_to=%2Faccount%3Fdone%3Dconfirmed", chromedp.Click(chromedp.CSS(`a.button[href^="/sign-in"]`)))
	b.audited("confirm that it is you")
	b.open("/account")
}

// accessibleInvitation looks at an invitation, and accepts it.
func accessibleInvitation(t *testing.T, b *tab) {
	t.Helper()
	bootstrap(t)
	t.Setenv("GATEHOUSE_CLI_PASSWORD", password)
	guest := address(t)
	check.Within(t, time.Minute, "an invitation", func() error {
		out, err := plat.CLI(t.Context(), "users", "invite", guest, "--email", administrator)
		if err != nil {
			return errors.Join(err, fmt.Errorf("%s", out))
		}
		return nil
	})
	b.open(mailed(t, guest, "/accept-invitation"))
	b.audited("invitation")
	b.load(400, "/accept-invitation", fill("password", "short", "repeat", "other"), press("/accept-invitation"))
	b.audited("invitation with a bad password")
	b.load(200, "/account", fill("password", password, "repeat", password), press("/accept-invitation"))
}

// accessibleUnproven looks at what the first administrator sees, whose address nobody has proven.
func accessibleUnproven(t *testing.T, language string) {
	t.Helper()
	b := person(t, true)
	b.reads(language)
	b.signIn(administrator)
	b.audited("account with an unproven address")
	b.load(400, "/account/authenticator", chromedp.Navigate(origin()+"/account/authenticator"))
	b.audited("confirm your address first")
	b.load(200, "/account?done=verify", press("/account/email/verify"))
	b.audited("verification mailed")
}
