package browser_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// verifier is every application's, which is none that anybody should copy.
const verifier = "an-application-draws-a-verifier-for-each-sign-in"

// application is a client of the platform: a server of its own, on another site than the pages.
type application struct {
	id, name      string
	redirect, bye string
}

// newApplication starts and registers one. What it is sent it shows.
func newApplication(t *testing.T) application {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Application</title><link rel="icon" href="data:,"><p>The application got the state %q.`, r.URL.Query().Get("state"))
	}))
	t.Cleanup(server.Close)
	a := application{name: "Application of " + t.Name(), redirect: server.URL + "/callback", bye: server.URL + "/bye"}
	a.id = register(t, a.name, "--public", "--redirect", a.redirect, "--redirect", "com.example.app:/callback", "--post-logout", a.bye)
	return a
}

// asks is where the application sends people to.
func (a application) asks(redirect, state string, more ...string) string {
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"client_id": {a.id}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid offline_access"}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	return origin() + "/oauth2/authorize?" + query.Encode()
}

// token sends a form to the token endpoint, and returns the status and what is answered.
func (a application) token(t *testing.T, pairs ...string) (status int, told map[string]any) {
	t.Helper()
	form := url.Values{"client_id": {a.id}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	response, err := http.PostForm(origin()+"/oauth2/token", form)
	check.NoError(t, err)
	defer response.Body.Close()
	check.NoError(t, json.NewDecoder(response.Body).Decode(&told))
	return response.StatusCode, told
}

// redeem gets the refresh token of the code that the browser was sent back with.
func (a application) redeem(t *testing.T, back *url.URL) string {
	t.Helper()
	status, told := a.token(t, "grant_type", "authorization_code", "code", back.Query().Get("code"), "redirect_uri", a.redirect, "code_verifier", verifier)
	refresh, _ := told["refresh_token"].(string)
	if status != http.StatusOK || refresh == "" {
		t.Fatalf("%d %v", status, told)
	}
	return refresh
}

// sentTo follows a link, or presses a button, that leads to a page of the platform's, whatever its
// query.
func (b *tab) sentTo(path string, step chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.bounded()
	defer cancel()
	response, err := chromedp.RunResponse(ctx, step)
	check.NoError(b.t, err)
	if at, _, _ := strings.Cut(response.URL, "?"); response.Status != http.StatusOK || at != origin()+path {
		b.t.Fatalf("%s is %d, want %s\n%s", response.URL, response.Status, path, b.text())
	}
}

// sentBack does the same where it leads back to the application, and returns its URL.
func (b *tab) sentBack(a application, state string, steps ...chromedp.Action[chromedp.Void]) *url.URL {
	b.t.Helper()
	ctx, cancel := b.bounded()
	defer cancel()
	response, err := chromedp.RunResponse(ctx, steps...)
	check.NoError(b.t, err)
	back, err := url.Parse(response.URL)
	check.NoError(b.t, err)
	if !strings.HasPrefix(response.URL, a.redirect+"?") || back.Query().Get("code") == "" || back.Query().Get("iss") != origin() {
		b.t.Fatalf("sent to %s\n%s", response.URL, b.text())
	}
	b.says(fmt.Sprintf("The application got the state %q.", state))
	return back
}

// Somebody comes from an application on another site, signs in without a script, and is sent back
// there: by the redirect that form-action of the page names. Nothing is kept but cookies that no
// script reads, with scripts allowed, too.
func TestSignInForAnApplication(t *testing.T) { // R24, R28, R34
	for name, scripts := range map[string]bool{"without scripts": false, "with scripts": true} {
		t.Run(name, func(t *testing.T) {
			a, who := newApplication(t), address(t)
			person(t, false).signUp(who)
			b := person(t, scripts)
			b.sentTo("/sign-in", chromedp.Navigate(a.asks(a.redirect, "first")))
			b.says("to continue to " + a.name)
			b.load(401, "/sign-in", fill("email", who, "password", "not the password at all"), press("/sign-in"))
			b.sentBack(a, "first", fill("password", password), press("/sign-in"))
			b.sentBack(a, "second", chromedp.Navigate(a.asks(a.redirect, "second"))) // nobody is asked again
			b.sentTo("/sign-in", chromedp.Navigate(a.asks(a.redirect, "third", "prompt", "login")))
			b.says(a.name + " wants you to confirm that it is you.")
			b.sentBack(a, "third", fill("password", password), press("/sign-in"))
			b.keepsNothing(scripts)
			b.open("/account")
			b.keepsNothing(scripts)
		})
	}
}

// keepsNothing checks that the page that is open keeps nothing where a script would find it.
func (b *tab) keepsNothing(scripts bool) {
	b.t.Helper()
	for _, c := range b.cookies() {
		if !strings.HasPrefix(c.Name, "__Host-gatehouse") || !c.HTTPOnly || !c.Secure || c.SameSite == network.CookieSameSiteNone {
			b.t.Errorf("a cookie is %+v", c)
		}
	}
	if !scripts {
		return
	}
	if kept := evaluate[string](b, `document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)`); kept != "{}{}" {
		b.t.Errorf("a script finds %q", kept)
	}
}

// An account is made on the way, too.
func TestSignUpForAnApplication(t *testing.T) {
	a, who := newApplication(t), address(t)
	b := person(t, false)
	b.sentTo("/sign-in", chromedp.Navigate(a.asks(a.redirect, "new")))
	b.sentTo("/sign-up", chromedp.Click(chromedp.CSS(`a[href^="/sign-up?"]`)))
	b.sentBack(a, "new", fill("email", who, "password", password, "repeat", password), press("/sign-up"))
}

// An application that has no ID token at hand has the person asked, who is sent back there then, and
// is signed out everywhere with that browser.
func TestSignOutForAnApplication(t *testing.T) { // R22, R29
	a := newApplication(t)
	b := person(t, false)
	b.signUp(address(t))
	b.sentBack(a, "in", chromedp.Navigate(a.asks(a.redirect, "in")))
	out := url.Values{"client_id": {a.id}, "post_logout_redirect_uri": {a.bye}, "state": {"out"}}
	b.sentTo("/sign-out", chromedp.Navigate(origin()+"/oauth2/logout?"+out.Encode()))
	b.says(a.name + " asks to sign you out.")
	ctx, cancel := b.bounded()
	defer cancel()
	response, err := chromedp.RunResponse(ctx, press("/sign-out"))
	check.NoError(t, err)
	if response.URL != a.bye+"?state=out" {
		t.Errorf("sent to %s", response.URL)
	}
	b.says(`The application got the state "out".`)
	b.sentTo("/sign-in", chromedp.Navigate(a.asks(a.redirect, "again")))
}

// Two tabs with the page, one from before Auth was started anew, and "back": each leads its own
// request back to the application.
func TestPagesOfAnApplicationLeftOpen(t *testing.T) {
	a, who := newApplication(t), address(t)
	person(t, false).signUp(who)
	first := person(t, false)
	second := first.second(false)
	first.sentTo("/sign-in", chromedp.Navigate(a.asks(a.redirect, "one")))
	second.sentTo("/sign-in", chromedp.Navigate(a.asks(a.redirect, "two")))
	restart(t)
	first.sentBack(a, "one", fill("email", who, "password", password), press("/sign-in"))
	second.sentBack(a, "two", fill("email", who, "password", password), press("/sign-in"))
	first.do(chromedp.NavigateBack())
	first.says("You are signed in", who)
	first.sentBack(a, "one", chromedp.Click(chromedp.CSS(`a[href^="/oauth2/authorize?"]`)))
}

// A native application gets the answer by a scheme of its own, which no policy stops: the console
// would say so.
func TestSignInForANativeApplication(t *testing.T) {
	const redirect = "com.example.app:/callback"
	a, who := newApplication(t), address(t)
	person(t, false).signUp(who)
	b := person(t, false)
	b.sentTo("/sign-in", chromedp.Navigate(a.asks(redirect, "native")))
	handed := make(chan string, 10)
	var location string // of the last redirect
	check.NoError(t, chromedp.Listen(b.Context, func(event any) {
		switch e := event.(type) {
		case *network.EventResponseReceivedExtraInfo:
			for name, value := range e.Headers {
				if strings.EqualFold(name, "Location") {
					location = fmt.Sprint(value)
				}
			}
		case *network.EventLoadingFailed: // there is no such application here
			handed <- location
		}
	}))
	ctx, cancel := b.bounded()
	defer cancel()
	check.NoError(t, chromedp.Do(ctx, fill("email", who, "password", password), press("/sign-in")))
	select {
	case at := <-handed:
		if !strings.HasPrefix(at, redirect+"?code=") {
			t.Errorf("sent to %s", at)
		}
	case <-ctx.Done():
		t.Error("sent nowhere")
	}
}

// People see which applications they use with a browser, and end that browser's session from
// another one (R22, R23).
func TestSessionListWithApplications(t *testing.T) {
	a, who := newApplication(t), address(t)
	desk, phone := person(t, false), person(t, false)
	phone.signUp(who)
	back := phone.sentBack(a, "phone", chromedp.Navigate(a.asks(a.redirect, "phone")))
	refresh := a.redeem(t, back)
	desk.signIn(who)
	desk.says("Applications: "+a.name, "This browser")
	status, told := a.token(t, "grant_type", "refresh_token", "refresh_token", refresh)
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, told)
	}
	refresh, _ = told["refresh_token"].(string)
	desk.load(200, "/account?done=ended", press("/account/sessions/end"))
	desk.says("That session is signed out.", "You are signed in nowhere else.")
	if strings.Contains(desk.text(), a.name) {
		t.Errorf("it still names the application:\n%s", desk.text())
	}
	if status, told := a.token(t, "grant_type", "refresh_token", "refresh_token", refresh); status != http.StatusBadRequest || told["error"] != "invalid_grant" {
		t.Errorf("the application's session goes on: %d %v", status, told)
	}
	phone.sentTo("/sign-in", chromedp.Navigate(a.asks(a.redirect, "again")))
}

// Who comes with a request that cannot be answered reads so, and is sent nowhere (R28, R29).
func TestRequestsThatLeadNowhere(t *testing.T) {
	a := newApplication(t)
	b := person(t, false)
	for name, link := range map[string]string{
		"an unknown client":        regexp.MustCompile(`client_id=[^&]*`).ReplaceAllString(a.asks(a.redirect, "x"), "client_id=client-1"),
		"an unregistered redirect": a.asks(a.redirect+"/x", "x"),
	} {
		t.Run(name, func(t *testing.T) {
			b.load(400, strings.TrimPrefix(link, origin()), chromedp.Navigate(link))
			b.says("The application cannot be answered")
		})
	}
}
