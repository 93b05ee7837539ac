package openid

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/seal"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// verifierForm is a code verifier (RFC 7636, section 4.1).
var verifierForm = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// Token is the token endpoint (RFC 6749, section 3.2).
func (p *Provider) Token(w http.ResponseWriter, r *http.Request) {
	response, err := p.grant(r)
	if err != nil {
		p.writeError(w, r, err)
		return
	}
	answerJSON(w, http.StatusOK, response)
}

func (p *Provider) grant(r *http.Request) (*oidc.AccessTokenResponse, error) {
	form, err := postedForm(r)
	if err != nil {
		return nil, err
	}
	c, err := p.authenticate(r.Context(), r, form)
	if err != nil {
		return nil, err
	}
	switch grant := oidc.GrantType(form.Get("grant_type")); grant {
	case oidc.GrantTypeCode:
		return p.redeem(r.Context(), c, form)
	case oidc.GrantTypeRefreshToken:
		return p.refresh(r.Context(), c, form)
	case "":
		return nil, invalidRequest("grant_type is missing")
	default: // R32
		return nil, oidc.ErrUnsupportedGrantType().WithDescription("the grant types are authorization_code and refresh_token")
	}
}

// redeem exchanges a code (RFC 6749, section 4.1.3; RFC 7636, section 4.6).
func (p *Provider) redeem(ctx context.Context, c client.Client, form url.Values) (*oidc.AccessTokenResponse, error) {
	v, err := p.codeOf(c, form)
	if err != nil {
		return nil, err
	}
	v.Scope = grantable(c, strings.Join(v.Scope, " ")) // an administrator may have taken one away
	about, err := p.People.Person(ctx, v.UserID)
	if errors.Is(err, session.ErrNotFound) {
		return nil, invalidGrant("the login is gone")
	}
	if err != nil {
		return nil, err
	}
	told, err := p.claimsOf(ctx, about, v.Scope) // before the code is used up: it may have to be tried again
	if err != nil {
		return nil, err
	}
	begun, tokens, err := p.begin(v, about, c)
	if err != nil {
		return nil, err
	}
	response := answerOf(tokens, v.Scope)
	if slices.Contains(v.Scope, client.ScopeOpenID) {
		response.IDToken, err = p.idToken(c, told, v, tokens)
		if err != nil {
			return nil, err
		}
	}
	return response, p.use(ctx, v, begun)
}

// begin makes the session that a code asks for, and its tokens. Without a refresh token it is over
// when its access token is.
func (p *Provider) begin(v code, about Person, c client.Client) (session.Session, session.Tokens, error) {
	begun, tokens, err := p.Sessions.Draw(session.Browser{
		ID: v.BrowserID, UserID: v.UserID, OrganizationID: about.OrganizationID, AuthTime: time.Unix(v.AuthTime, 0), AMR: v.AMR,
		From: request.Client{Address: v.Address, Agent: v.Agent}, ExpireTime: time.Unix(v.BrowserExpires, 0),
	}, session.Grant{SessionID: v.SessionID, ClientID: c.ID, Scope: strings.Join(v.Scope, " "), Audience: c.Audiences})
	if !slices.Contains(v.Scope, client.ScopeOfflineAccess) {
		tokens.Refresh = ""
		begun.ExpireTime = begun.CreateTime.Add(tokens.ExpiresIn)
	}
	return begun, tokens, err
}

// use stores the session of a code that is still good and was not used before: its tokens may be
// handed out then. A code that is presented again, also when its time is over, ends the session
// that it began (R31; RFC 6749, section 4.1.2).
func (p *Provider) use(ctx context.Context, v code, begun session.Session) error {
	e := event.FromContext(ctx)
	e.ObjectID = v.UserID // so that the user sees a refusal too
	expires := time.UnixMilli(v.Expires)
	err := session.ErrNotFound
	if p.Now().Before(expires) {
		err = p.Store.Redeem(ctx, begun, expires, begun.Started(e))
		if err == nil {
			return nil
		}
	}
	switch {
	case errors.Is(err, ErrCodeUsed):
		p.Log.WarnContext(ctx, "authorization code used again: its session is ended", "client_id", v.ClientID, "user_id", v.UserID)
	case !errors.Is(err, session.ErrNotFound):
		return err
	}
	if err := p.Sessions.EndReplayed(ctx, v.SessionID); err != nil {
		return err
	}
	return &oidc.Error{ErrorType: oidc.InvalidGrant, Description: badGrant, Parent: event.Attempt(err, e)}
}

// codeOf opens a code and checks whatever it is bound to: the client, the redirect URI and the
// verifier, for confidential clients too (R30). Whether it is still good, and for the first time,
// is decided by what redeems it.
func (p *Provider) codeOf(c client.Client, form url.Values) (code, error) {
	for _, name := range []string{"code", "redirect_uri", "code_verifier"} {
		if !form.Has(name) {
			return code{}, invalidRequest(name + " is missing")
		}
	}
	v, err := p.Codes.open(form.Get("code"))
	if errors.Is(err, seal.ErrNotOurs) {
		return code{}, invalidGrant(err.Error())
	}
	if err != nil {
		return code{}, err
	}
	verifier := form.Get("code_verifier")
	switch {
	case v.ClientID != c.ID:
		return code{}, invalidGrant("the code is another client's")
	case !bytes.Equal(v.Redirect, hashOf(form.Get("redirect_uri"))):
		return code{}, invalidGrant("the redirect URI is another one")
	case !verifierForm.MatchString(verifier) || subtle.ConstantTimeCompare([]byte(oidc.NewSHACodeChallenge(verifier)), []byte(v.Challenge)) != 1:
		return code{}, invalidGrant("the verifier does not match")
	}
	return v, nil
}

// refresh exchanges a refresh token (RFC 6749, section 6). It works once (R33). There is no new ID
// token: nobody was proven anew (OpenID Connect Core, section 12.2), and UserInfo tells what
// changed.
func (p *Provider) refresh(ctx context.Context, c client.Client, form url.Values) (*oidc.AccessTokenResponse, error) {
	if !form.Has("refresh_token") {
		return nil, invalidRequest("refresh_token is missing")
	}
	scope := strings.Join(strings.Fields(form.Get("scope")), " ")
	refreshed, tokens, err := p.Sessions.RefreshClient(ctx, session.Client{ID: c.ID, Scopes: c.Scopes, Audiences: c.Audiences}, form.Get("refresh_token"), scope)
	switch {
	case errors.Is(err, session.ErrScope):
		return nil, oidc.ErrInvalidScope().WithDescription("more than what was granted").WithParent(err)
	case errors.Is(err, reason.InvalidRefreshToken()):
		return nil, &oidc.Error{ErrorType: oidc.InvalidGrant, Description: badGrant, Parent: err}
	case err != nil:
		return nil, err
	}
	return answerOf(tokens, strings.Fields(refreshed.Scope)), nil
}

// answerOf is a token response (RFC 6749, section 5.1).
func answerOf(t session.Tokens, scope []string) *oidc.AccessTokenResponse {
	return &oidc.AccessTokenResponse{
		AccessToken: t.Access, TokenType: oidc.BearerToken, RefreshToken: t.Refresh,
		ExpiresIn: uint64(max(0, t.ExpiresIn/time.Second)), Scope: scope,
	}
}
