package openid

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// introspection is what is told about a token (RFC 7662, section 2.2).
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	Expires   int64    `json:"exp,omitempty"`
	Issued    int64    `json:"iat,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	ID        string   `json:"jti,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"` // RFC 9470, section 6.2
}

// Introspect tells a client whether an access token is good (RFC 7662). Whatever is not, and
// whatever is none of the client's business, is inactive and nothing else (R37).
func (p *Provider) Introspect(w http.ResponseWriter, r *http.Request) {
	c, form, err := p.asked(r, p.confidential)
	if err != nil {
		p.writeError(w, r, err)
		return
	}
	told, err := p.introspect(r.Context(), c, form.Get("token"))
	if err != nil {
		p.writeError(w, r, err)
		return
	}
	answerJSON(w, http.StatusOK, told)
}

func (p *Provider) introspect(ctx context.Context, c client.Client, compact string) (introspection, error) {
	granted, err := p.verify(ctx, compact)
	if badToken(err) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	if granted.ClientID != c.ID && !slices.ContainsFunc(c.Audiences, func(a string) bool { return slices.Contains(granted.Audience, a) }) {
		return introspection{}, nil
	}
	if _, err := p.Sessions.Get(ctx, granted.SessionID); err != nil { // ended a moment ago
		if errors.Is(err, session.ErrNotFound) {
			return introspection{}, nil
		}
		return introspection{}, err
	}
	return introspection{
		Active: true, Scope: granted.Scope, ClientID: granted.ClientID, TokenType: oidc.BearerToken, Expires: granted.ExpiresAt.Unix(),
		Issued: granted.IssuedAt.Unix(), Subject: granted.Subject, Audience: granted.Audience, Issuer: granted.Issuer, ID: granted.ID,
		AuthTime: authTime(granted.AuthTime),
	}, nil
}

// authTime is when somebody was proven; 0 where a token does not say.
func authTime(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}

// Revoke ends the session that a token is of (RFC 7009): with an access token its refresh token
// dies too, and the other way round (R36). An unknown token is no error.
func (p *Provider) Revoke(w http.ResponseWriter, r *http.Request) {
	c, form, err := p.asked(r, p.authenticate)
	if err == nil {
		err = p.revoke(r.Context(), c, form.Get("token"))
	}
	if err != nil {
		p.writeError(w, r, err)
		return
	}
	noStore(w)
	w.WriteHeader(http.StatusOK)
}

func (p *Provider) revoke(ctx context.Context, c client.Client, text string) error {
	found, err := p.sessionOf(ctx, c, text)
	if errors.Is(err, session.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.Sessions.EndClient(ctx, found)
}

// sessionOf finds the session that an access token or a refresh token of the client is of.
func (p *Provider) sessionOf(ctx context.Context, c client.Client, text string) (session.Session, error) {
	granted, err := p.verify(ctx, text)
	switch {
	case err == nil && granted.ClientID != c.ID:
		return session.Session{}, invalidGrant("the token is another client's")
	case err == nil:
		return p.Sessions.Get(ctx, granted.SessionID)
	case !badToken(err):
		return session.Session{}, err
	}
	return p.Sessions.ByRefreshToken(ctx, c.ID, text)
}

// asked reads a request of a client about a token.
func (p *Provider) asked(r *http.Request, who func(context.Context, *http.Request, url.Values) (client.Client, error)) (client.Client, url.Values, error) {
	form, err := postedForm(r)
	if err != nil {
		return client.Client{}, nil, err
	}
	c, err := who(r.Context(), r, form)
	if err == nil && !form.Has("token") {
		err = invalidRequest("token is missing")
	}
	return c, form, err
}
