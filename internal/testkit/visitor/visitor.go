// Package visitor is a person with a browser that runs no script: it keeps cookies, follows redirects
// and sends forms. Only tests import it.
package visitor

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	neturl "net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// Visitor is the person.
type Visitor struct {
	t      *testing.T
	client *http.Client
}

// Page is what a visitor sees.
type Page struct {
	Status int
	At     *neturl.URL // after all redirects
	To     *neturl.URL // where a redirect leads that was not followed
	Text   string
}

// New is somebody without a cookie. Whom the browser trusts is the transport's; nil is Go's own.
func New(t *testing.T, transport http.RoundTripper) *Visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	check.NoError(t, err)
	return &Visitor{t: t, client: &http.Client{Jar: trusting{jar}, Transport: transport}}
}

// In is the visitor in a part of the test, which fails by itself.
func (v *Visitor) In(t *testing.T) *Visitor { return &Visitor{t: t, client: v.client} }

// trusting is a jar that keeps secure cookies of this machine without TLS, as browsers do.
type trusting struct{ http.CookieJar }

func (j trusting) SetCookies(u *neturl.URL, cookies []*http.Cookie) {
	j.CookieJar.SetCookies(secure(u), cookies)
}

func (j trusting) Cookies(u *neturl.URL) []*http.Cookie { return j.CookieJar.Cookies(secure(u)) }

func secure(u *neturl.URL) *neturl.URL {
	s := *u
	s.Scheme = "https"
	return &s
}

// Open goes to a page, wherever that leads.
func (v *Visitor) Open(link string) Page {
	v.t.Helper()
	return v.do(v.client, http.MethodGet, link, nil, "none")
}

// Sent goes to a page and not further.
func (v *Visitor) Sent(link string) Page {
	v.t.Helper()
	waiting := *v.client
	waiting.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return v.do(&waiting, http.MethodGet, link, nil, "none")
}

// Post sends a form of a page from the same site.
func (v *Visitor) Post(link string, form neturl.Values) Page {
	v.t.Helper()
	return v.do(v.client, http.MethodPost, link, form, "same-origin")
}

// PostAcross sends a form of a page from another site.
func (v *Visitor) PostAcross(link string, form neturl.Values) Page {
	v.t.Helper()
	return v.do(v.client, http.MethodPost, link, form, "cross-site")
}

// Try is Open in a goroutine of its own, where nothing ends the test.
func (v *Visitor) Try(link string) (Page, error) {
	return v.try(v.client, http.MethodGet, link, nil, "none")
}

func (v *Visitor) do(client *http.Client, method, link string, form neturl.Values, site string) Page {
	v.t.Helper()
	page, err := v.try(client, method, link, form, site)
	check.NoError(v.t, err)
	return page
}

func (v *Visitor) try(client *http.Client, method, link string, form neturl.Values, site string) (Page, error) {
	r, err := http.NewRequestWithContext(v.t.Context(), method, link, strings.NewReader(form.Encode()))
	if err != nil {
		return Page{}, err
	}
	r.Header.Set("Sec-Fetch-Site", site)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := client.Do(r)
	if err != nil {
		return Page{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	page := Page{Status: response.StatusCode, At: response.Request.URL, Text: string(text)}
	if err == nil && response.Header.Get("Location") != "" {
		page.To, err = response.Location()
	}
	return page, err
}

// Cookies are what the browser shows to a place.
func (v *Visitor) Cookies(at *neturl.URL) []*http.Cookie { return v.client.Jar.Cookies(at) }

var returnTo = regexp.MustCompile(`name="return_to" value="([^"]*)"`)

// SignIn completes the page that signs in, and goes on to where it leads.
func (v *Visitor) SignIn(page Page, email, password string) Page {
	v.t.Helper()
	if page.Status != http.StatusOK || page.At.Path != "/sign-in" {
		v.t.Fatalf("%s is no page that signs in: %d\n%s", page.At, page.Status, page.Text)
	}
	return v.complete(page, neturl.Values{"email": {email}, "password": {password}})
}

// Code completes the page that asks for the second factor, and goes on to where it leads.
func (v *Visitor) Code(page Page, code string) Page {
	v.t.Helper()
	if page.Status != http.StatusOK || page.At.Path != "/sign-in/code" {
		v.t.Fatalf("%s is no page that asks for a code: %d\n%s", page.At, page.Status, page.Text)
	}
	return v.complete(page, neturl.Values{"code": {code}})
}

// complete sends the form of a page, with where it leads to.
func (v *Visitor) complete(page Page, form neturl.Values) Page {
	v.t.Helper()
	if found := returnTo.FindStringSubmatch(page.Text); found != nil {
		form.Set("return_to", html.UnescapeString(found[1]))
	}
	to := *page.At
	to.RawQuery = ""
	return v.Post(to.String(), form)
}

// Says ends the test unless a page has a status and a text.
func (v *Visitor) Says(page Page, status int, text string) {
	v.t.Helper()
	if page.Status != status || !strings.Contains(page.Text, text) {
		v.t.Fatalf("%s answers %d, want %d and %q:\n%s", page.At, page.Status, status, text, page.Text)
	}
}
