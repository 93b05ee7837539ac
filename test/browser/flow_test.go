package browser_test

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// address makes an address that nobody has.
func address(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("%s-%d@example.com", strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name())), time.Now().UnixNano())
}

// signUp makes an account, which signs the person in.
func (b *tab) signUp(address string) {
	b.t.Helper()
	b.open("/sign-up")
	b.load(200, "/account", fill("display_name", "Ada Lovelace", "email", address, "password", password, "repeat", password), press("/sign-up"))
}

func (b *tab) signIn(address string) {
	b.t.Helper()
	b.open("/sign-in")
	b.load(200, "/account", fill("email", address, "password", password), press("/sign-in"))
}

// The whole of it, without a script.
func TestFlowWithoutScripts(t *testing.T) {
	who := address(t)
	b := person(t, false)
	b.open("/sign-in")
	b.load(200, "/sign-up", follow("/sign-up"))
	b.load(200, "/account", fill("display_name", "Ada", "email", who, "password", password, "repeat", password), press("/sign-up"))
	b.says("Security", who, "This browser")
	b.load(200, "/sign-out", follow("/sign-out"))
	b.says("Sign out?", who)
	b.load(200, "/sign-out", press("/sign-out"))
	b.says("You are signed out")
	b.load(200, "/sign-in", chromedp.Navigate(origin()+"/account"))
	b.load(401, "/sign-in", fill("email", who, "password", "not the password at all"), press("/sign-in"))
	b.says("The email address or the password is wrong.")
	if b.value("email") != who || b.value("password") != "" {
		t.Errorf("the fields hold %q and %q", b.value("email"), b.value("password"))
	}
	b.load(200, "/account", fill("password", password), press("/sign-in"))
	b.open("/sign-in")
	b.says("You are signed in", "Signed in as "+who)
}

// The cookie is one that no script reads and no other site sends along; nothing else is kept (R24).
func TestWhatTheBrowserKeeps(t *testing.T) {
	b := person(t, true)
	b.signUp(address(t))
	cookies := b.cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies", len(cookies))
	}
	c := cookies[0]
	if c.Name != "__Host-gatehouse" || !c.Secure || !c.HTTPOnly || c.SameSite != "Lax" || c.Path != "/" || strings.HasPrefix(c.Domain, ".") {
		t.Errorf("the cookie is %+v", c)
	}
	kept, err := chromedp.Run(b.Context, chromedp.Evaluate[string](`document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)`))
	if err != nil || kept != "{}{}" {
		t.Errorf("a script finds %q, %v", kept, err)
	}
}

// Two tabs with the same page: both work, whoever is first.
func TestSecondTab(t *testing.T) {
	who := address(t)
	person(t, false).signUp(who)
	first := person(t, false)
	second := first.second(false)
	first.open("/sign-in")
	second.open("/sign-in")
	first.load(200, "/account", fill("email", who, "password", password), press("/sign-in"))
	second.load(200, "/account", fill("email", who, "password", password), press("/sign-in"))
	first.open("/account")
	first.says(who)
}

// Back from where the sign-in led finds a page that works.
func TestBack(t *testing.T) {
	who := address(t)
	person(t, false).signUp(who)
	b := person(t, false)
	b.signIn(who)
	b.do(chromedp.NavigateBack())
	b.says("You are signed in")
	b.load(200, "/sign-out", follow("/sign-out"))
	b.says(who)
}

// People see where they are signed in, and end it (R23).
func TestSessionList(t *testing.T) {
	who := address(t)
	desk, phone := person(t, false), person(t, false)
	phone.signUp(who)
	desk.signIn(who)
	desk.says("Chrome on Linux", "This browser", "Sign out everywhere else")
	desk.load(200, "/account?done=ended", press("/account/sessions/end"))
	desk.says("That session is signed out.", "You are signed in nowhere else.")
	phone.load(200, "/sign-in", chromedp.Navigate(origin()+"/account"))
}

// Who changes the password stays signed in here, and nowhere else (R5, R22).
func TestPasswordChange(t *testing.T) {
	who := address(t)
	desk, phone := person(t, false), person(t, false)
	phone.signUp(who)
	desk.signIn(who)
	const fresh = "another horse in the battery"
	desk.load(401, "/account/password", fill("old_password", "not the password", "new_password", fresh, "repeat", fresh), press("/account/password"))
	desk.says("This is not your current password.")
	desk.load(200, "/account?done=password", fill("old_password", password, "new_password", fresh, "repeat", fresh), press("/account/password"))
	desk.says("Your password is changed", "You are signed in nowhere else.")
	phone.load(200, "/sign-in", chromedp.Navigate(origin()+"/account"))
	phone.load(401, "/sign-in", fill("email", who, "password", password), press("/sign-in"))
	phone.load(200, "/account", fill("password", fresh), press("/sign-in"))
}

// A page from before Auth was started anew works.
func TestPageFromBeforeARestart(t *testing.T) {
	who := address(t)
	person(t, false).signUp(who)
	b := person(t, false)
	b.open("/sign-in")
	restart(t)
	b.load(200, "/account", fill("email", who, "password", password), press("/sign-in"))
	b.says(who)
}

// restart ends Auth, and waits until `up` has started it anew and everybody knows. Consul looks every
// two seconds, and may have looked while it was away: sidecars then leave it once more a moment after
// it is back. So it has to serve for longer than that.
func restart(t *testing.T) {
	t.Helper()
	before, err := plat.Service("auth")
	check.NoError(t, err)
	check.NoError(t, syscall.Kill(before.PID, syscall.SIGTERM))
	served := 0
	check.Within(t, time.Minute, "auth is back", func() error {
		if err := serves(before.PID); err != nil {
			served = 0
			return err
		}
		if served++; served < 50 { // tries are 50 ms apart at least
			return fmt.Errorf("it has served %d times", served)
		}
		return nil
	})
}

// serves is why no other process than that serves Auth's pages, nil when one does.
func serves(before int) error {
	now, err := plat.Service("auth")
	if err != nil {
		return err
	}
	if now.PID == before || now.PID == 0 || now.Health != "passing" {
		return fmt.Errorf("it is process %d, %s", now.PID, now.Health)
	}
	answer, err := http.Get(origin() + "/sign-in")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return nil
}
