package clients_test

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

// visitor is a person with a browser that runs no script.
type visitor struct {
	t      *testing.T
	client *http.Client
}

// shown is a page that a visitor sees.
type shown struct {
	status int
	at     *neturl.URL // after all redirects
	to     *neturl.URL // where a redirect leads that was not followed
	text   string
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	check.NoError(t, err)
	return &visitor{t: t, client: &http.Client{Jar: trusting{jar}}}
}

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

// open goes to a page, wherever that leads.
func (v *visitor) open(link string) shown {
	v.t.Helper()
	return v.do(v.client, http.MethodGet, link, nil, "none")
}

// sent goes to a page and not further.
func (v *visitor) sent(link string) shown {
	v.t.Helper()
	waiting := *v.client
	waiting.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return v.do(&waiting, http.MethodGet, link, nil, "none")
}

// post sends a form of a page from the same site.
func (v *visitor) post(link string, form neturl.Values) shown {
	v.t.Helper()
	return v.do(v.client, http.MethodPost, link, form, "same-origin")
}

func (v *visitor) do(client *http.Client, method, link string, form neturl.Values, site string) shown {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, link, strings.NewReader(form.Encode()))
	check.NoError(v.t, err)
	r.Header.Set("Sec-Fetch-Site", site)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := client.Do(r)
	check.NoError(v.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	check.NoError(v.t, err)
	page := shown{status: response.StatusCode, at: response.Request.URL, text: string(text)}
	if response.Header.Get("Location") != "" {
		page.to, err = response.Location()
		check.NoError(v.t, err)
	}
	return page
}

var returnTo = regexp.MustCompile(`name="return_to" value="([^"]*)"`)

// signIn completes the page that signs in, and goes on to where it leads.
func (v *visitor) signIn(page shown, email string) shown {
	v.t.Helper()
	if page.status != http.StatusOK || page.at.Path != "/sign-in" {
		v.t.Fatalf("%s is no page that signs in: %d\n%s", page.at, page.status, page.text)
	}
	form := neturl.Values{"email": {email}, "password": {password}}
	if found := returnTo.FindStringSubmatch(page.text); found != nil {
		form.Set("return_to", html.UnescapeString(found[1]))
	}
	to := *page.at
	to.RawQuery = ""
	return v.post(to.String(), form)
}

// says ends the test unless a page has a status and a text.
func (v *visitor) says(page shown, status int, text string) {
	v.t.Helper()
	if page.status != status || !strings.Contains(page.text, text) {
		v.t.Fatalf("%s answers %d, want %d and %q:\n%s", page.at, page.status, status, text, page.text)
	}
}
