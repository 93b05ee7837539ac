package pages

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// returnTo is the parameter that says where a browser goes when a page is done.
const returnTo = "return_to"

// The most bytes of it, and of an address.
const (
	maxReturn = 7 << 10
	maxEmail  = 254
)

// errBadReturn is a return_to that leads nowhere from here.
var errBadReturn = errors.New("return_to is no request of a registered client to this provider")

// returning is where a browser goes when a page is done: on with the request of a client that sent
// it here. The zero value is nowhere in particular.
type returning struct {
	To      string    // path and query here
	Client  string    // name of the application
	Actions []string  // where the request leads in the end, as sources of form-action
	Hint    string    // address of who is expected (login_hint)
	Since   time.Time // who was proven before has to be proven again; zero: anybody may go on
	Own     bool      // it is a page here
}

// Path is where the browser goes.
func (t returning) Path() string {
	if t.To == "" {
		return accountPath
	}
	return t.To
}

// beside is the path of another page with the same return.
func (t returning) beside(path string) string {
	if t.To == "" {
		return path
	}
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return path + separator + returnTo + "=" + url.QueryEscape(t.To)
}

// signingIn reads the return_to of the pages that sign in: one of our own pages, or a request to
// our own authorization endpoint by a client that exists, with a redirect of its own (R29). Whether
// it is granted the provider decides when the browser is back.
func (p *Pages) signingIn(ctx context.Context, raw string) (returning, error) {
	if slices.Contains(ownReturns(), raw) {
		return returning{To: raw, Since: p.Now().Add(-token.FreshFor), Own: true}, nil
	}
	query, err := ownRequest(raw, authorizePath)
	if err != nil || query == nil {
		return returning{}, err
	}
	c, err := p.clientOf(ctx, query)
	redirect, ok := one(query, "redirect_uri")
	switch {
	case err != nil:
		return returning{}, err
	case !ok || !c.AllowsRedirect(redirect):
		return returning{}, errBadReturn
	}
	t := returning{To: authorizePath + "?" + query.Encode(), Client: c.Name, Actions: source(redirect)}
	if hint := query.Get("login_hint"); len(hint) <= maxEmail {
		t.Hint = hint
	}
	if ms, err := strconv.ParseInt(query.Get("gatehouse_since"), 10, 64); err == nil {
		t.Since = time.UnixMilli(ms)
	}
	return t, nil
}

// signingOut reads the return_to of the page that signs out: a request to our own logout endpoint,
// which leads on to a client only when it names the client and a place of its own.
func (p *Pages) signingOut(ctx context.Context, raw string) (returning, error) {
	query, err := ownRequest(raw, logoutPath)
	if err != nil || query == nil {
		return returning{}, err
	}
	t := returning{To: logoutPath + "?" + query.Encode()}
	if !query.Has("client_id") && query.Has("id_token_hint") {
		query.Set("client_id", audience(query.Get("id_token_hint")))
	}
	if !query.Has("client_id") {
		return t, nil
	}
	c, err := p.clientOf(ctx, query)
	if err != nil {
		return returning{}, err
	}
	t.Client = c.Name
	if !query.Has("post_logout_redirect_uri") {
		return t, nil
	}
	after, ok := one(query, "post_logout_redirect_uri")
	if !ok || !c.AllowsPostLogout(after) {
		return returning{}, errBadReturn
	}
	t.Actions = source(after)
	return t, nil
}

// audience is the aud of an ID token, which nobody has verified here: it only says with whose
// registered addresses to compare. The provider verifies the token when the browser is back.
func audience(idToken string) string {
	parts := strings.Split(idToken, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Audience string `json:"aud"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.Audience
}

// ownRequest returns the query of a request to one of our own paths, written as that path alone: no
// scheme, no host, nothing that a browser could read as one. It is nil where there is no return_to.
func ownRequest(raw, path string) (url.Values, error) {
	if raw == "" {
		return nil, nil
	}
	rest, ok := strings.CutPrefix(raw, path+"?")
	if !ok || len(raw) > maxReturn {
		return nil, errBadReturn
	}
	query, err := url.ParseQuery(rest)
	if err != nil || strings.Contains(rest, "#") {
		return nil, errBadReturn
	}
	return query, nil
}

// one returns a parameter that is there exactly once.
func one(query url.Values, name string) (string, bool) {
	return query.Get(name), len(query[name]) == 1
}

// clientOf is the client that a request names.
func (p *Pages) clientOf(ctx context.Context, query url.Values) (client.Client, error) {
	id, ok := one(query, "client_id")
	if !ok || !clientID.MatchString(id) {
		return client.Client{}, errBadReturn
	}
	c, err := p.Clients.Get(ctx, id)
	if errors.Is(err, client.ErrNotFound) {
		return client.Client{}, errBadReturn
	}
	return c, err
}

// What an id of a client may look like, and what a source of form-action can name of a host (CSP
// Level 3, section 2.3.1).
var (
	clientID   = regexp.MustCompile(`^[!-~]{1,256}$`)
	hostForm   = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?$`)
	schemeForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)
)

// source returns a registered URI as a source of form-action: its origin, or its scheme where it
// has no host that a source can name (a native application's own scheme, an IPv6 address).
func source(uri string) []string {
	u, err := url.Parse(uri)
	if err != nil || !schemeForm.MatchString(u.Scheme) {
		return nil
	}
	if (u.Scheme == "https" || u.Scheme == "http") && hostForm.MatchString(u.Host) {
		return []string{u.Scheme + "://" + u.Host}
	}
	return []string{u.Scheme + ":"}
}

// verifying is where a person goes on who shows a mailed code, as the request in which it was asked
// for had said: it waits with the code, not in the link of the mail, and is judged again (R29). One
// that leads nowhere by now, such as to a client that is gone, keeps nobody from their account.
func (p *Pages) verifying(ctx context.Context, shown string) (returning, error) {
	raw, err := p.Logins.ReturnTo(ctx, proof.Code(shown))
	if err != nil {
		return returning{}, err
	}
	to, err := p.signingIn(ctx, raw)
	if errors.Is(err, errBadReturn) {
		return returning{}, nil
	}
	return to, err
}

// returnOf reads the return_to of a request: of its form, or of its query.
func returnOf(r *http.Request) string {
	if r.Method == http.MethodPost {
		return r.PostForm.Get(returnTo)
	}
	return r.URL.Query().Get(returnTo)
}
