package browser_test

import (
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// shown are all pages, and how to get there; those whose names begin with "known" are for somebody
// who is signed in.
func shown() map[string]func(*tab) {
	return map[string]func(*tab){
		"sign in": func(b *tab) { b.open("/sign-in") },
		"wrong password": func(b *tab) {
			b.open("/sign-in")
			b.load(401, "/sign-in", fill("email", "nobody@example.com", "password", "not the password at all"), press("/sign-in"))
		},
		"sign up": func(b *tab) { b.open("/sign-up") },
		"wrong fields": func(b *tab) {
			b.open("/sign-up")
			b.load(400, "/sign-up", fill("email", "ada@example.com", "password", "short", "repeat", "other"), press("/sign-up"))
		},
		"signed out":       func(b *tab) { b.open("/sign-out") },
		"error":            func(b *tab) { b.load(400, "/sign-in?return_to=x", chromedp.Navigate(origin()+"/sign-in?return_to=x")) },
		"known: signed in": func(b *tab) { b.open("/sign-in") },
		"known: security":  func(b *tab) { b.open("/account") },
		"known: wrong old password": func(b *tab) {
			b.open("/account")
			b.load(401, "/account/password", fill("old_password", "x", "new_password", password, "repeat", password), press("/account/password"))
		},
		"known: sign out": func(b *tab) { b.open("/sign-out") },
	}
}

var pictures = flag.Bool("pictures", false, "write the pictures of README and guide anew (docs/pictures)")

// The pictures of README and guide: make test-browser TEST_FLAGS='-run Pictures -pictures'.
func TestPictures(t *testing.T) {
	if !*pictures {
		t.Skip("pictures are made where -pictures says so")
	}
	id := register(t, "Shop", "--public", "--redirect", "https://shop.example.com/")
	request := url.Values{
		"client_id": {id}, "redirect_uri": {"https://shop.example.com/"}, "response_type": {"code"}, "scope": {"openid"},
		"code_challenge": {strings.Repeat("x", 43)}, "code_challenge_method": {"S256"},
	}
	ada, stranger := person(t, true), person(t, true)
	person(t, true).signUp("ada@example.com")
	ada.signIn("ada@example.com")
	for _, scheme := range []string{"light", "dark"} {
		for name, p := range map[string]struct {
			tab           *tab
			path          string
			width, height int64
		}{
			"sign-in": {stranger, "/sign-in", 800, 560},
			"client":  {stranger, "/oauth2/authorize?" + request.Encode(), 360, 640}, // a phone
			"account": {ada, "/account", 800, 1060},
		} {
			p.tab.on(screen{name, p.width, p.height, scheme})
			p.tab.visit(origin() + p.path)
			p.tab.picture(name + "-" + scheme)
		}
	}
}

// mostPicture is how many bytes a picture may have.
const mostPicture = 100_000

// picture writes what the screen shows.
func (b *tab) picture(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.Context, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join("..", "..", "docs", "pictures", name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if len(png) > mostPicture {
		b.t.Errorf("%s has %d bytes", name, len(png))
	}
}
