package openid

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// logout is a request to sign a person out.
type logout struct {
	hint   hinted // zero without a hint
	d      destination
	query  url.Values
	client string // "" when it is not known
}

// EndSession is the logout endpoint (OpenID Connect RP-Initiated Logout 1.0). A client that shows
// an ID token of whoever is signed in with this browser ends the browser session at once; otherwise
// the person is asked by the page that signs out, which sends the browser back here afterwards.
func (p *Provider) EndSession(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost { // as at Authorize
		form, err := readForm(r)
		query := form.Encode()
		if err == nil && len(query) > maxAuthorize {
			err = invalidRequest("the request is too long")
		}
		if err != nil {
			p.refusePage(w, r, err)
			return
		}
		seeOther(w, LogoutPath+"?"+query)
		return
	}
	l, err := p.logoutOf(r)
	if err != nil {
		p.refusePage(w, r, err)
		return
	}
	browser, err := p.browserOf(r)
	switch {
	case errors.Is(err, session.ErrNotFound):
	case err != nil:
		p.refusePage(w, r, err)
		return
	case l.hint.Subject != browser.UserID:
		seeOther(w, signOutPath+"?"+returnTo+"="+url.QueryEscape(LogoutPath+"?"+l.query.Encode()))
		return
	default:
		if err := p.Browsers.End(r.Context(), browser); err != nil {
			p.refusePage(w, r, err)
			return
		}
	}
	w.Header().Add("Set-Cookie", session.NoCookie())
	if l.d.redirectURI == "" {
		seeOther(w, signOutPath) // says that nobody is signed in
		return
	}
	seeOther(w, l.leave())
}

// leave is where the person goes back to, with the state of the request and nothing else.
func (l logout) leave() string {
	if l.d.state == "" {
		return l.d.redirectURI
	}
	return l.d.with(url.Values{"state": {l.d.state}})
}

// logoutOf reads a request. The client is that of the hint, or the one that client_id names; where
// to go afterwards must be registered for it, or nothing happens (R29).
func (p *Provider) logoutOf(r *http.Request) (logout, error) {
	query, repeated, err := parameters(r.URL.RawQuery)
	switch {
	case err != nil || len(r.URL.RawQuery) > maxAuthorize:
		return logout{}, invalidRequest("the request is malformed or too long")
	case len(repeated) > 0:
		return logout{}, invalidRequest("a parameter is repeated")
	}
	l := logout{query: query, client: query.Get("client_id")}
	if compact := query.Get("id_token_hint"); compact != "" {
		if l.hint, err = p.hint(compact); err != nil {
			return logout{}, err
		}
		if l.client != "" && l.client != l.hint.Audience {
			return logout{}, invalidRequest("client_id is another one than that of id_token_hint")
		}
		l.client = l.hint.Audience
	}
	uri := query.Get("post_logout_redirect_uri")
	if uri == "" {
		return l, nil
	}
	c, err := p.clientOf(r.Context(), l.client)
	switch {
	case errors.Is(err, client.ErrNotFound):
		return logout{}, invalidRequest("post_logout_redirect_uri needs the client_id or the id_token_hint of its application")
	case err != nil:
		return logout{}, err
	case !c.AllowsPostLogout(uri):
		return logout{}, invalidRequest("the application is not registered with this post_logout_redirect_uri")
	}
	l.d = destination{redirectURI: uri, state: query.Get("state")}
	return l, nil
}
