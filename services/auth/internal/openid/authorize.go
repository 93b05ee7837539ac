package openid

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// maxAuthorize is the most bytes of an authorization request, and maxLocation those of the URL of
// the page that signs in, which has the request in it: the edge takes 8,000 (R54).
const maxAuthorize, maxLocation = 6 << 10, 7 << 10

// Authorize is the authorization endpoint (OpenID Connect Core, section 3.1.2). It stores nothing:
// the request is in the URL until the person is known, so that a page left open, a second tab and
// "back" all work, and strangers write nothing.
func (p *Provider) Authorize(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost { // a browser sends no cookie of ours with a POST from another site
		form, err := readForm(r)
		if err != nil {
			p.refusePage(w, r, err)
			return
		}
		if query := form.Encode(); len(query) <= maxAuthorize {
			seeOther(w, AuthorizePath+"?"+query)
			return
		}
		p.refusePage(w, r, invalidRequest("the request is too long"))
		return
	}
	query, repeated, err := parameters(r.URL.RawQuery)
	if err != nil || len(r.URL.RawQuery) > maxAuthorize {
		p.refusePage(w, r, invalidRequest("the request is malformed or too long"))
		return
	}
	c, d, err := p.destination(r.Context(), query)
	if err != nil {
		p.refusePage(w, r, err)
		return
	}
	a, err := p.judge(c, query, repeated)
	if err != nil {
		p.sendBack(w, r, d, asError(err))
		return
	}
	location, err := p.answer(r, a, d)
	if err != nil {
		p.sendBack(w, r, d, asError(err))
		return
	}
	seeOther(w, location)
}

// destination is where the answer to a request is sent.
type destination struct{ redirectURI, state string }

// destination finds the client of a request, and where it wants the answer. Until both are known to
// be good nothing is sent anywhere (R28, R29; RFC 6749, section 4.1.2.1).
func (p *Provider) destination(ctx context.Context, query url.Values) (client.Client, destination, error) {
	c, err := p.clientOf(ctx, query.Get("client_id"))
	switch {
	case errors.Is(err, client.ErrNotFound):
		return c, destination{}, invalidRequest("the application is not registered here")
	case err != nil:
		return c, destination{}, err
	case !c.AllowsRedirect(query.Get("redirect_uri")):
		return c, destination{}, invalidRequest("the application is not registered with this redirect_uri")
	}
	return c, destination{redirectURI: query.Get("redirect_uri"), state: query.Get("state")}, nil
}

// answer is where a browser goes with a good request: back to the client with a code, or to the
// page that signs in.
func (p *Provider) answer(r *http.Request, a authorization, d destination) (string, error) {
	now := p.Now()
	browser, err := p.browserOf(r)
	signedIn := err == nil && a.satisfiedBy(browser, now)
	switch {
	case err != nil && !errors.Is(err, session.ErrNotFound):
		return "", err
	case !signedIn && a.silent:
		return "", oidc.ErrLoginRequired().WithDescription("the person has to sign in")
	case err == nil && a.cameBack(browser) && !a.wants(browser): // or the page would ask for ever
		return "", oidc.ErrLoginRequired().WithDescription("another person than that of id_token_hint signed in")
	case !signedIn:
		location := signInPath + "?" + returnTo + "=" + url.QueryEscape(AuthorizePath+"?"+a.again(now))
		if len(location) > maxLocation {
			return "", invalidRequest("the request is too long")
		}
		return location, nil
	}
	switch unverified, err := p.unverified(r.Context(), a.client, browser.UserID); {
	case err != nil:
		return "", err
	case unverified && a.silent:
		return "", oidc.ErrInteractionRequired().WithDescription("the person has to verify their email address")
	case unverified:
		return verifyFirstPath, nil
	}
	text, err := p.Codes.seal(code{
		SessionID: p.NewID(), ClientID: a.client.ID, Redirect: hashOf(d.redirectURI), Challenge: a.challenge,
		Nonce: a.nonce, Scope: a.scope, UserID: browser.UserID, BrowserID: browser.ID,
		AuthTime: browser.AuthTime.Unix(), AMR: browser.AMR, Address: browser.From.Address, Agent: browser.From.Agent, Expires: now.Add(codeLifetime).UnixMilli(),
		BrowserExpires: browser.ExpireTime.Unix(),
	})
	if err != nil {
		return "", err
	}
	return p.back(d, "code", text), nil
}

// unverified reports whether a client is for people with a proven address, and this person has
// none.
func (p *Provider) unverified(ctx context.Context, c client.Client, userID string) (bool, error) {
	if !c.RequireVerifiedEmail {
		return false, nil
	}
	person, err := p.People.Person(ctx, userID)
	if errors.Is(err, session.ErrNotFound) {
		return false, oidc.ErrLoginRequired().WithDescription("the login is gone")
	}
	return !person.EmailVerified, err
}

// hashOf is how a code knows a redirect URI.
func hashOf(redirectURI string) []byte {
	hash := sha256.Sum256([]byte(redirectURI))
	return hash[:]
}

// browserOf finds the browser session of a request.
func (p *Provider) browserOf(r *http.Request) (session.Browser, error) {
	cookies := r.CookiesNamed(session.CookieName)
	if len(cookies) != 1 {
		return session.Browser{}, session.ErrNotFound
	}
	return p.Browsers.Find(r.Context(), cookies[0].Value)
}

// sendBack sends an error to the client (RFC 6749, section 4.1.2.1).
func (p *Provider) sendBack(w http.ResponseWriter, r *http.Request, d destination, e *oidc.Error) {
	refuse(r.Context(), e)
	seeOther(w, p.back(d, "error", string(e.ErrorType), "error_description", e.Description))
}

// back is the URL of a destination with an answer: parameters, the state, and who answers (R34; RFC
// 9207). What the redirect URI has in its query stays.
func (p *Provider) back(d destination, pairs ...string) string {
	answer := url.Values{"iss": {p.Issuer}}
	for i := 0; i+1 < len(pairs); i += 2 {
		answer.Set(pairs[i], pairs[i+1])
	}
	if d.state != "" {
		answer.Set("state", d.state)
	}
	return d.with(answer)
}

// with is the URL of a destination with more in its query.
func (d destination) with(more url.Values) string {
	separator := "?"
	if strings.Contains(d.redirectURI, "?") {
		separator = "&"
	}
	return d.redirectURI + separator + more.Encode()
}

// satisfiedBy reports whether a browser session is of the person that the request wants, proven as
// lately as it wants.
func (a authorization) satisfiedBy(b session.Browser, now time.Time) bool {
	lately := !a.login && (a.maxAge < 0 || now.Sub(b.AuthTime) <= a.maxAge)
	return a.wants(b) && (lately || a.cameBack(b))
}

// wants reports whether a browser session is of the person that the request wants.
func (a authorization) wants(b session.Browser) bool { return a.subject == "" || a.subject == b.UserID }

// cameBack reports whether the person of a browser session was sent to sign in by this request, and
// did.
func (a authorization) cameBack(b session.Browser) bool {
	return !a.since.IsZero() && !b.AuthTime.Before(a.since)
}

// again is the request as the page that signs in sends the browser back with it: with the time
// since when a new proof counts, or it would be asked for again and again.
func (a authorization) again(now time.Time) string {
	query := url.Values{}
	for name, values := range a.query {
		query[name] = values
	}
	if a.since.IsZero() {
		query.Set(sinceParameter, strconv.FormatInt(now.UnixMilli(), 10))
	}
	return query.Encode()
}
