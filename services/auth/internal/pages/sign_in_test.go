package pages_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

func TestSignIn(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	b := w.browser()
	b.get(t, "/sign-in").says(t, http.StatusOK, `<form method="post" action="/sign-in">`, `autocomplete="username"`, `autocomplete="current-password"`)
	in := b.post(t, "/sign-in", "email", " Ada@Example.com", "password", pass)
	in.leads(t, "/account")
	for i, name := range []string{"__Host-gatehouse=", "__Host-gatehouse-device="} { // R24
		cookie := in.Header().Values("Set-Cookie")[i]
		for _, want := range []string{name, "; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"} {
			if !strings.Contains(cookie, want) {
				t.Errorf("the cookie lacks %q: %s", want, cookie)
			}
		}
	}
	b.get(t, "/sign-in").says(t, http.StatusOK, "Signed in as ada@example.com", `href="/account"`, `href="/sign-out"`, `href="/sign-in?another=1"`)
	b.get(t, "/sign-in?another=1").says(t, http.StatusOK, `action="/sign-in"`)
	if events := w.Recorded(t); events[len(events)-1].Action != "auth.signed_in" || events[len(events)-1].ClientAddress != "203.0.113.7" {
		t.Errorf("recorded: %+v", events[len(events)-1]) // R66, R90
	}
}

// The failures of strangers do not keep a person out whose browser has signed in before, also after
// it has signed out; one that has not must wait, and is told nothing of that.
func TestStrangersFailuresDelayNoKnownBrowser(t *testing.T) { // R8
	w := newWorld(t, 100)
	w.signedUp(t, email)
	mine := w.browser()
	mine.post(t, "/sign-in", "email", email, "password", pass).leads(t, "/account")
	mine.post(t, "/sign-out")
	known := mine.device.Value
	for range throttle.FreeFailures {
		w.browser().post(t, "/sign-in", "email", email, "password", "not the password at all").says(t, http.StatusUnauthorized)
	}
	w.browser().post(t, "/sign-in", "email", email, "password", pass).says(t, http.StatusUnauthorized, "The email address or the password is wrong.")
	mine.post(t, "/sign-in", "email", email, "password", pass).leads(t, "/account")
	if mine.device.Value != known {
		t.Error("the device has another name than before")
	}
	forged := w.browser()
	forged.device = &http.Cookie{Name: mine.device.Name, Value: strings.Repeat("A", len(known))}
	forged.post(t, "/sign-in", "email", email, "password", pass).says(t, http.StatusUnauthorized)
}

// R10: an unknown address and a wrong password are one answer, byte by byte; the address stays.
func TestRefusedSignInsAreOneAnswer(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	var answers []string
	for _, address := range []string{email, "eve@example.com"} {
		a := w.browser().post(t, "/sign-in", "email", address, "password", "not the password at all")
		a.says(t, http.StatusUnauthorized, `role="alert"`, "The email address or the password is wrong.", `value="`+address+`"`)
		if a.Header().Get("Set-Cookie") != "" || strings.Contains(a.page, "not the password") {
			t.Error("a refused sign-in gets a cookie, or its password back")
		}
		answers = append(answers, strings.ReplaceAll(a.page, address, "?"))
	}
	if answers[0] != answers[1] {
		t.Errorf("the answers differ:\n%s\n%s", answers[0], answers[1])
	}
}

func TestIncompleteSignIns(t *testing.T) {
	w := newWorld(t, 100)
	b := w.browser()
	b.post(t, "/sign-in").says(t, http.StatusBadRequest, "Error: Sign in",
		`<p class="wrong" id="email-wrong">Enter your email address.</p>`, `aria-describedby="email-wrong" aria-invalid="true" autofocus>`,
		`<a href="#password">Enter your password.</a>`)
	b.post(t, "/sign-in", "email", strings.Repeat("a", 255), "password", strings.Repeat("é", 257)).says(t, http.StatusBadRequest,
		"Enter an email address, such as", "Use at most 256 characters.")
}

// R20: the session that a browser had before is worth nothing afterwards.
func TestSigningInAgain(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	w.signedUp(t, "bob@example.com")
	first, second := w.browser(), w.browser()
	first.signIn(t, email)
	second.cookie = first.cookie // a second tab
	second.signIn(t, "bob@example.com")
	first.get(t, "/sign-in").says(t, http.StatusOK, `action="/sign-in"`)
	second.get(t, "/sign-in").says(t, http.StatusOK, "Signed in as bob@example.com")
}

// A page left open since before a restart works: no form holds state of the server's.
func TestAPageFromBeforeARestart(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	b := w.browser()
	before := b.get(t, "/sign-in?return_to="+url.QueryEscape(w.authorize(callback))).page
	w.serve(t)
	if after := b.get(t, "/sign-in?return_to="+url.QueryEscape(w.authorize(callback))).page; before != after {
		t.Errorf("the page is another one after the restart:\n%s\n%s", before, after)
	}
	b.post(t, "/sign-in", "email", email, "password", pass, "return_to", w.authorize(callback)).leads(t, w.authorize(callback))
}

// More sign-ins than there are hashers and places in the queue.
func TestOverloadIsAPageThatSaysSo(t *testing.T) {
	w := newWorld(t, 0)
	w.signedUp(t, email)
	release := w.hashing(t)
	a := w.browser().post(t, "/sign-in", "email", email, "password", pass)
	release()
	a.says(t, http.StatusTooManyRequests, "Very many people are signing in", `value="ada@example.com"`)
	if a.Header().Get("Retry-After") != "2" {
		t.Errorf("Retry-After is %q", a.Header().Get("Retry-After"))
	}
	w.browser().signIn(t, email)
}

// Who must be proven again, because the request wants it, is asked for the password with the
// address filled in; who was proven since need not.
func TestProvenAgain(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	b := w.browser()
	b.signIn(t, email)
	since := func(at time.Time) string {
		return "/sign-in?return_to=" + url.QueryEscape(w.authorize(callback, "gatehouse_since", millis(at)))
	}
	b.get(t, since(w.now.Add(time.Second))).says(t, http.StatusOK, "Signed in as ada@example.com", "Blue &amp; Green wants you to confirm that it is you.",
		`value="ada@example.com"`, `action="/sign-in"`)
	b.get(t, since(w.now.Add(-time.Second))).says(t, http.StatusOK, "You are signed in", "Continue", "to continue to Blue &amp; Green")
}

// R25: what changes something comes from a page of ours, by what the browser says; login CSRF too.
func TestFormsOfOtherSites(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"same origin":                    {http.Header{"Sec-Fetch-Site": {"same-origin"}}, http.StatusSeeOther},
		"same origin, strict referrer":   {http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"null"}}, http.StatusSeeOther},
		"an older browser":               {http.Header{"Origin": {"https://" + host}}, http.StatusSeeOther},
		"another site":                   {http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, http.StatusForbidden},
		"a sister site":                  {http.Header{"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://evil." + host}}, http.StatusForbidden},
		"another site, older browser":    {http.Header{"Origin": {"https://evil.example"}}, http.StatusForbidden},
		"another port":                   {http.Header{"Origin": {"https://" + host + ":8443"}}, http.StatusForbidden},
		"a sandbox":                      {http.Header{"Origin": {"null"}}, http.StatusForbidden},
		"nothing said":                   {http.Header{}, http.StatusForbidden},
		"another site says it is ours":   {http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://" + host}}, http.StatusForbidden},
		"an unknown word of a newer one": {http.Header{"Sec-Fetch-Site": {"near-site"}}, http.StatusForbidden},
	} {
		b := w.browser()
		b.header = c.header
		a := b.post(t, "/sign-in", "email", email, "password", pass)
		if a.Code != c.status || (a.Header().Get("Set-Cookie") != "") != (c.status == http.StatusSeeOther) {
			t.Errorf("%s: %d with the cookie %q, want %d", name, a.Code, a.Header().Get("Set-Cookie"), c.status)
		}
	}
	b := w.browser()
	b.signIn(t, email)
	cookie := b.cookie
	b.header = http.Header{"Sec-Fetch-Site": {"cross-site"}}
	b.post(t, "/sign-out").says(t, http.StatusForbidden, "sent from another site")
	if b.cookie != cookie {
		t.Error("another site signs people out")
	}
	b.get(t, "/sign-in").says(t, http.StatusOK, "Signed in as") // GET shows, and changes nothing
}

// R25: a body of another type is no form.
func TestOnlyForms(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	form := url.Values{"email": {email}, "password": {pass}}.Encode()
	for _, kind := range []string{"", "text/plain", "application/json", "multipart/form-data; boundary=x"} {
		r := httptest.NewRequest(http.MethodPost, "/sign-in", strings.NewReader(form))
		r.Header.Set("Content-Type", kind)
		w.browser().send(t, r).says(t, http.StatusBadRequest, "The form did not arrive as it should.")
	}
	r := httptest.NewRequest(http.MethodPost, "/sign-in?"+form, strings.NewReader(""))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w.browser().send(t, r).says(t, http.StatusBadRequest, "Enter your password.") // R49: nothing secret is read from a URL
}

// R20: the cookie is new at each sign-in, also of who is signed in already, and the one of before is
// dead, whoever has it.
func TestSignInWithACookie(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	w.signedUp(t, "bob@example.com")
	b, thief := w.browser(), w.browser()
	for _, address := range []string{email, email, "bob@example.com"} {
		thief.cookie = b.cookie
		b.signIn(t, address)
		if b.cookie == thief.cookie {
			t.Errorf("the cookie stays the same")
		}
		thief.get(t, "/account").leads(t, "/sign-in")
		b.get(t, "/account").says(t, http.StatusOK, address, "You are signed in nowhere else.")
	}
}
