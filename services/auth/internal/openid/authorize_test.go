package openid_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
)

func TestAuthorizeAnswersWithACode(t *testing.T) { // R34
	w := newWorld(t)
	for name, c := range map[string]struct{ redirect, prefix string }{
		"a page":          {callback, callback + "?"},
		"with a query":    {"https://app.example/with?a=b", "https://app.example/with?a=b&"},
		"a custom scheme": {"com.example.app:/callback", "com.example.app:/callback?"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.authorize(w.asks("redirect_uri", c.redirect).Encode(), w.cookie)
			q := sentTo(t, r).Query()
			if !strings.HasPrefix(r.Header.Get("Location"), c.prefix) || q.Get("iss") != issuer || q.Get("state") != "s t" || q.Get("code") == "" || q.Has("error") {
				t.Errorf("sent to %s", r.Header.Get("Location"))
			}
		})
	}
	if q := sentTo(t, w.authorize(w.asks("state", "").Encode(), w.cookie)).Query(); q.Has("state") || !q.Has("code") {
		t.Errorf("without a state: %v", q)
	}
}

// Nothing is sent anywhere before client and redirect URI are known to be good.
func TestAuthorizeSendsNothingToStrangers(t *testing.T) { // R28, R29
	w := newWorld(t)
	for name, query := range map[string]string{
		"no client":            w.asks("client_id", "").Encode(),
		"unknown client":       w.asks("client_id", unknownID).Encode(),
		"client with NUL":      w.asks("client_id", webID+"\x00").Encode(),
		"client with a blank":  w.asks("client_id", webID+" ").Encode(),
		"long client":          w.asks("client_id", strings.Repeat("c", 600)).Encode(),
		"no redirect":          w.asks("redirect_uri", "").Encode(),
		"another redirect":     w.asks("redirect_uri", "https://evil.example/callback").Encode(),
		"a path below":         w.asks("redirect_uri", callback+"/x").Encode(),
		"a query":              w.asks("redirect_uri", callback+"?x").Encode(),
		"client twice":         w.asks().Encode() + "&client_id=" + webID,
		"redirect twice":       w.asks().Encode() + "&redirect_uri=" + url.QueryEscape(callback),
		"malformed":            w.asks().Encode() + "&%zz",
		"semicolons":           w.asks().Encode() + ";x=y",
		"not UTF-8":            w.asks().Encode() + "&x=%ff",
		"too long":             w.asks("x", strings.Repeat("x", 7000)).Encode(),
		"bad and nobody knows": w.asks("redirect_uri", "https://evil.example/", "response_type", "token").Encode(),
	} {
		t.Run(name, func(t *testing.T) {
			r := w.authorize(query, w.cookie)
			body, _ := io.ReadAll(r.Body)
			if r.StatusCode != http.StatusBadRequest || r.Header.Get("Location") != "" || strings.Contains(string(body), "evil") {
				t.Errorf("%d to %q: %s", r.StatusCode, r.Header.Get("Location"), body)
			}
			if !strings.Contains(string(body), "The application cannot be answered") || !strings.Contains(r.Header.Get("Content-Security-Policy"), "form-action 'self';") {
				t.Errorf("the page is %q\n%s", r.Header.Get("Content-Security-Policy"), body)
			}
		})
	}
}

// Whom an application sent here reads why it goes no further in a language of their own; the words
// of the protocol are for whoever runs the application.
func TestAuthorizeTellsThePersonWhy(t *testing.T) { // R28, R29
	w := newWorld(t)
	for name, c := range map[string]struct {
		query  url.Values
		detail string
	}{
		"unknown client":        {w.asks("client_id", unknownID), "the application is not registered here"},
		"unregistered redirect": {w.asks("redirect_uri", "https://evil.example/"), "the application is not registered with this redirect_uri"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, issuer+openid.AuthorizePath+"?"+c.query.Encode(), nil)
			r.Header.Set("Accept-Language", "de-AT, en;q=0.5")
			answer := httptest.NewRecorder()
			w.Authorize(answer, r)
			page := answer.Body.String()
			if answer.Code != http.StatusBadRequest || answer.Header().Get("Location") != "" || answer.Header().Get("Content-Language") != "de" {
				t.Errorf("%d to %q in %q", answer.Code, answer.Header().Get("Location"), answer.Header().Get("Content-Language"))
			}
			for _, text := range []string{`<html lang="de">`, "Die Anwendung", `<p class="detail" lang="en">` + c.detail} {
				if !strings.Contains(page, text) {
					t.Errorf("the page does not say %q:\n%s", text, page)
				}
			}
		})
	}
}

func TestAuthorizeSendsErrorsBack(t *testing.T) { // R30, R32
	w := newWorld(t)
	for name, c := range map[string]struct{ query, code string }{
		"token":                 {w.asks("response_type", "token").Encode(), "unsupported_response_type"},
		"id_token":              {w.asks("response_type", "id_token").Encode(), "unsupported_response_type"},
		"hybrid":                {w.asks("response_type", "code id_token").Encode(), "unsupported_response_type"},
		"fragment":              {w.asks("response_mode", "fragment").Encode(), "invalid_request"},
		"form_post":             {w.asks("response_mode", "form_post").Encode(), "invalid_request"},
		"registration":          {w.asks("registration", "{}").Encode(), "registration_not_supported"},
		"no challenge":          {w.asks("code_challenge", "", "code_challenge_method", "").Encode(), "invalid_request"},
		"plain":                 {w.asks("code_challenge_method", "plain").Encode(), "invalid_request"},
		"plain by default":      {w.asks("code_challenge_method", "").Encode(), "invalid_request"},
		"s256":                  {w.asks("code_challenge_method", "s256").Encode(), "invalid_request"},
		"a short challenge":     {w.asks("code_challenge", s256[:42]).Encode(), "invalid_request"},
		"a padded challenge":    {w.asks("code_challenge", s256+"=").Encode(), "invalid_request"},
		"no scope":              {w.asks("scope", "").Encode(), "invalid_scope"},
		"no scope of its own":   {w.asks("scope", "gatehouse other").Encode(), "invalid_scope"},
		"none and login":        {w.asks("prompt", "none login").Encode(), "invalid_request"},
		"max_age in words":      {w.asks("max_age", "soon").Encode(), "invalid_request"},
		"max_age below nothing": {w.asks("max_age", "-1").Encode(), "invalid_request"},
		"a hint of nobody":      {w.asks("id_token_hint", "e30.e30.").Encode(), "invalid_request"},
		"a long nonce":          {w.asks("nonce", strings.Repeat("n", 513)).Encode(), "invalid_request"},
		"scope twice":           {w.asks().Encode() + "&scope=openid", "invalid_request"},
		"unknown twice":         {w.asks().Encode() + "&x=1&x=1", "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.authorize(c.query, w.cookie)
			q := sentTo(t, r).Query()
			if !strings.HasPrefix(r.Header.Get("Location"), callback+"?") || q.Get("error") != c.code || q.Get("iss") != issuer || q.Get("state") != "s t" || q.Has("code") {
				t.Errorf("sent to %s, want %s", r.Header.Get("Location"), c.code)
			}
		})
	}
	if q := sentTo(t, w.authorize(w.asks().Encode()+"&state=2", w.cookie)).Query(); q.Get("error") != "invalid_request" || q.Has("state") {
		t.Errorf("two states: %v", q)
	}
}

// What is not known, or is only wished for, does not disturb.
func TestAuthorizeLetsPass(t *testing.T) {
	w := newWorld(t)
	for name, query := range map[string]string{
		"consent":   w.asks("prompt", "consent").Encode(),
		"for ever":  w.asks("max_age", "18446744073709551").Encode(),
		"resources": w.asks().Encode() + "&resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example",
		"empty":     w.asks().Encode() + "&request=&prompt=",
	} {
		t.Run(name, func(t *testing.T) {
			if q := sentTo(t, w.authorize(query, w.cookie)).Query(); !q.Has("code") {
				t.Errorf("answered %v", q)
			}
		})
	}
}

// What is not a form that could be a query becomes none; the module about POST has the one that does.
func TestAuthorizeByPostTakesForms(t *testing.T) {
	w := newWorld(t)
	post := func(body, media string) *http.Response {
		r := httptest.NewRequest(http.MethodPost, issuer+openid.AuthorizePath, strings.NewReader(body))
		r.Header.Set("Content-Type", media)
		answer := httptest.NewRecorder()
		w.Authorize(answer, r)
		return answer.Result()
	}
	for name, r := range map[string]*http.Response{
		"JSON":     post("{}", "application/json"),
		"no type":  post(w.asks().Encode(), ""),
		"twice":    post(w.asks().Encode()+"&state=2", "application/x-www-form-urlencoded"),
		"too long": post(w.asks("x", strings.Repeat("x", 7000)).Encode(), "application/x-www-form-urlencoded"),
	} {
		if r.StatusCode != http.StatusBadRequest || r.Header.Get("Location") != "" {
			t.Errorf("%s: %d to %q", name, r.StatusCode, r.Header.Get("Location"))
		}
	}
}

// signIn follows to the page that signs in, and returns the request with which it sends back.
func signIn(t *testing.T, r *http.Response) (query string) {
	t.Helper()
	to := sentTo(t, r)
	back, err := url.Parse(to.Query().Get("return_to"))
	if err != nil || to.Host != "" || to.Path != "/sign-in" || back.Host != "" || back.Path != openid.AuthorizePath {
		t.Fatalf("sent to %s, %v", to, err)
	}
	return back.RawQuery
}

func TestAuthorizeAsksForAPerson(t *testing.T) {
	w := newWorld(t)
	someone := hintOf("someone")
	for name, c := range map[string]struct {
		pairs   []string
		cookies []string
	}{
		"nobody":          {nil, nil},
		"a dead cookie":   {nil, []string{"old"}},
		"two cookies":     {nil, []string{w.cookie, w.cookie}},
		"login":           {[]string{"prompt", "login"}, []string{w.cookie}},
		"select_account":  {[]string{"prompt", "select_account"}, []string{w.cookie}},
		"max_age 1":       {[]string{"max_age", "1"}, []string{w.cookie}},
		"max_age 0":       {[]string{"max_age", "0"}, []string{w.cookie}},
		"somebody else":   {[]string{"id_token_hint", someone}, []string{w.cookie}},
		"too long ago":    {[]string{"prompt", "login", "gatehouse_since", strconv.FormatInt(w.now.Add(-2*time.Hour).UnixMilli(), 10)}, []string{w.cookie}},
		"from the future": {[]string{"prompt", "login", "gatehouse_since", strconv.FormatInt(w.now.Add(2*time.Hour).UnixMilli(), 10)}, []string{w.cookie}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := w.asks(c.pairs...)
			query := signIn(t, w.authorize(asked.Encode(), c.cookies...))
			again, err := url.ParseQuery(query)
			if err != nil || again.Get("gatehouse_since") != strconv.FormatInt(w.now.UnixMilli(), 10) {
				t.Fatalf("comes back with %s", query)
			}
			again.Del("gatehouse_since")
			asked.Del("gatehouse_since")
			if again.Encode() != asked.Encode() {
				t.Errorf("comes back with %s, asked %s", query, asked.Encode())
			}
			if len(c.pairs) > 0 && c.pairs[0] == "prompt" {
				return
			}
			q := sentTo(t, w.authorize(w.asks(append(c.pairs, "prompt", "none")...).Encode(), c.cookies...)).Query()
			if q.Get("error") != "login_required" || q.Get("state") != "s t" {
				t.Errorf("prompt=none is answered %v", q)
			}
		})
	}
}

// What would not fit into the URL of the page that signs in goes back to the client.
func TestAuthorizeDoesNotSendPeopleToURLsTooLong(t *testing.T) { // R54
	w := newWorld(t)
	long := w.asks("x", strings.Repeat("%", 1800)).Encode()
	if q := sentTo(t, w.authorize(long)).Query(); q.Get("error") != "invalid_request" || q.Get("state") != "s t" {
		t.Errorf("answered %v", q)
	}
	if q := sentTo(t, w.authorize(long, w.cookie)).Query(); !q.Has("code") {
		t.Errorf("of whoever is signed in it is answered %v", q)
	}
}

// Whoever was sent to sign in and did is not asked again.
func TestAuthorizeAfterSignIn(t *testing.T) {
	w := newWorld(t)
	for name, pairs := range map[string][]string{
		"login": {"prompt", "login"}, "select_account": {"prompt", "select_account"}, "max_age 0": {"max_age", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			query := signIn(t, w.authorize(w.asks(pairs...).Encode(), w.cookie))
			if again := signIn(t, w.authorize(query, w.cookie)); again != query {
				t.Errorf("back without having signed in: %s, want %s", again, query)
			}
			w.now = w.now.Add(time.Second)
			w.cookie = w.signIn(t, w.userID)
			w.now = w.now.Add(time.Minute)
			if q := sentTo(t, w.authorize(query, w.cookie)).Query(); !q.Has("code") {
				t.Errorf("after signing in: %v", q)
			}
		})
	}
	t.Run("as somebody else", func(t *testing.T) {
		query := signIn(t, w.authorize(w.asks("id_token_hint", hintOf("someone")).Encode()))
		w.now = w.now.Add(time.Second)
		if q := sentTo(t, w.authorize(query, w.signIn(t, w.userID))).Query(); q.Get("error") != "login_required" {
			t.Errorf("answered %v", q)
		}
	})
}
