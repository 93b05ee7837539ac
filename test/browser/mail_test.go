package browser_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// mailing makes the platform of a test one that keeps mails, beside the one of the other tests.
func mailing(t *testing.T) {
	t.Helper()
	offset, err := platform.FreeOffset(10000)
	check.NoError(t, err)
	p, err := platform.New(platform.Options{Offset: offset, Env: []string{"GATEHOUSE_MAIL_MAILBOX=true"}})
	check.NoError(t, err)
	others := plat
	plat = p
	t.Cleanup(func() {
		plat = others
		check.NoError(t, p.Close())
	})
	check.NoError(t, p.Up())
}

// mailed is the page that the newest mail to an address leads to, which comes by itself.
func mailed(t *testing.T, to, page string) (path string) {
	t.Helper()
	link := regexp.MustCompile(`https?://\S+` + regexp.QuoteMeta(page) + `\?code=\S+`)
	check.Within(t, 20*time.Second, "a mail to "+to, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		out, err := plat.CLI(ctx, "mail", "list", "-o", "json")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			var m struct{ To, Text string }
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				return err
			}
			if found := link.FindString(m.Text); m.To == to && found != "" {
				path = found
			}
		}
		if path == "" {
			return errors.New("there is none")
		}
		return nil
	})
	u, err := url.Parse(path)
	check.NoError(t, err)
	if u.Scheme+"://"+u.Host != origin() {
		t.Fatalf("the link of the mail leads to %s, not to %s", path, origin())
	}
	return u.RequestURI()
}

// authenticator shows codes as an app on a phone does.
type authenticator struct {
	t          *testing.T
	key, shown string
}

// phone is an authenticator that has read the key that stands on the page.
func (b *tab) phone() *authenticator {
	b.t.Helper()
	return &authenticator{t: b.t, key: strings.ReplaceAll(look(b, chromedp.Text(chromedp.CSS(".key"))), " ", "")}
}

// enrolled sets an authenticator up by the key that stands on the page, and returns recovery codes.
func (b *tab) enrolled() (a *authenticator, codes []string) {
	b.t.Helper()
	b.load(200, "/account/authenticator", follow("/account/authenticator"))
	a = b.phone()
	b.load(200, "/account/authenticator", fill("code", a.code()), press("/account/authenticator"))
	codes = regexp.MustCompile(`[A-Z2-7]{4}(?:-[A-Z2-7]{4}){5}`).FindAllString(b.text(), -1)
	if len(codes) != 10 {
		b.t.Fatalf("%d recovery codes on\n%s", len(codes), b.text())
	}
	b.load(200, "/account", follow("/account"))
	return a, codes
}

// code is one that was not shown before: each is good once.
func (a *authenticator) code() string {
	a.t.Helper()
	check.Within(a.t, time.Minute, "the next code", func() error {
		code, err := totp.GenerateCode(a.key, time.Now())
		if err == nil && code == a.shown {
			err = errors.New("it is the one of before")
		}
		if err == nil {
			a.shown = code
		}
		return err
	})
	return a.shown
}

// The life of an account: signed up by mail, with an authenticator, which is then lost.
func TestAccountSurvives(t *testing.T) {
	mailing(t)
	who, fresh := address(t), "another horse in the battery"
	b := person(t, false)
	b.open("/sign-up")
	b.load(200, "/sign-up?done=mailed", fill("display_name", "Ada", "email", who, "password", password, "repeat", password), press("/sign-up"))
	link := mailed(t, who, "/verify-email")
	for range 2 { // looking at it changes nothing
		b.open(link)
	}
	b.load(200, "/account", fill("password", password), press("/verify-email"))
	b.says(who, "This browser")
	phone, codes := b.enrolled()
	b.says("Recovery codes left: 10.")
	signOut := func() {
		t.Helper()
		b.load(200, "/sign-out", follow("/sign-out"))
		b.load(200, "/sign-out", press("/sign-out"))
	}
	signOut()
	b.open("/sign-in")
	b.load(200, "/sign-in/code", fill("email", who, "password", password), press("/sign-in"))
	b.load(200, "/sign-in", chromedp.Navigate(origin()+"/account")) // the password alone is nothing
	b.open("/sign-in/code")
	b.load(401, "/sign-in/code", fill("code", phone.shown), press("/sign-in/code"))
	b.says("This code is wrong")
	b.load(200, "/account", fill("code", phone.code()), press("/sign-in/code"))
	b.says(who)
	signOut()
	b.open("/sign-in")
	b.load(200, "/sign-in/code", fill("email", who, "password", password), press("/sign-in"))
	b.do(chromedp.Click(chromedp.CSS("summary")))
	b.load(200, "/account", fill("recovery_code", strings.ToLower(codes[0])), chromedp.Click(chromedp.CSS("details button")))
	b.says("Recovery codes left: 9.")
	signOut()
	b.load(200, "/sign-in", chromedp.Navigate(origin()+"/account"))
	b.load(200, "/recover", follow("/recover"))
	b.load(200, "/recover?done=mailed", fill("email", who), press("/recover"))
	b.open(mailed(t, who, "/reset-password"))
	b.load(401, "/reset-password", fill("new_password", fresh, "repeat", fresh, "second_factor", codes[0]), press("/reset-password"))
	b.load(200, "/sign-in?done=reset", fill("new_password", fresh, "repeat", fresh, "second_factor", codes[1]), press("/reset-password"))
	b.load(200, "/sign-in/code", fill("email", who, "password", fresh), press("/sign-in"))
	b.do(chromedp.Click(chromedp.CSS("summary")))
	b.load(200, "/account", fill("recovery_code", codes[2]), chromedp.Click(chromedp.CSS("details button")))
	b.says(who, "Recovery codes left: 7.")
}
