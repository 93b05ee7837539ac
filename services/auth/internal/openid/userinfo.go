package openid

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// UserInfo tells the holder of an access token about its person (OpenID Connect Core, section 5.3).
func (p *Provider) UserInfo(w http.ResponseWriter, r *http.Request) {
	told, err := p.userInfo(r)
	if err != nil {
		challenge(w, asError(err))
		p.writeError(w, r, err)
		return
	}
	answerJSON(w, http.StatusOK, told)
}

func (p *Provider) userInfo(r *http.Request) (claims, error) {
	compact, err := bearerOf(r)
	if err != nil {
		return nil, err
	}
	granted, err := p.verify(r.Context(), compact)
	if err != nil {
		return nil, err
	}
	scope := strings.Fields(granted.Scope)
	if !slices.Contains(scope, client.ScopeOpenID) {
		return nil, &oidc.Error{ErrorType: insufficientScope, Description: "the token has not the scope openid"}
	}
	about, err := p.personOf(r.Context(), granted.SessionID)
	if errors.Is(err, session.ErrNotFound) { // it ended a moment ago
		return nil, errToken(err)
	}
	if err != nil {
		return nil, err
	}
	return p.claimsOf(r.Context(), about, scope)
}

// personOf is the person of a session that goes on.
func (p *Provider) personOf(ctx context.Context, sessionID string) (Person, error) {
	found, err := p.Sessions.Get(ctx, sessionID)
	if err != nil {
		return Person{}, err
	}
	return p.People.Person(ctx, found.UserID)
}

// bearerOf reads the token from the header, or, of a POST, from the form (RFC 6750, section 2),
// never from the URL (R49).
func bearerOf(r *http.Request) (string, error) {
	if r.URL.RawQuery != "" {
		return "", invalidRequest("parameters belong into the header or the body, not into the URL")
	}
	headers, inForm := r.Header.Values("Authorization"), ""
	if r.Method == http.MethodPost && r.Header.Get("Content-Type") != "" {
		form, err := readForm(r)
		if err != nil {
			return "", err
		}
		inForm = form.Get("access_token")
	}
	if len(headers) == 0 {
		if inForm == "" {
			return "", errToken(errors.New("no token"))
		}
		return inForm, nil
	}
	scheme, compact, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || inForm != "" || !strings.EqualFold(scheme, oidc.BearerToken) || compact == "" {
		return "", invalidRequest("the token is not presented in one way that is known")
	}
	return compact, nil
}

// verify returns the claims of an access token that a client was handed out here. Whatever is wrong
// with a token is one invalid_token.
func (p *Provider) verify(ctx context.Context, compact string) (token.Claims, error) {
	granted, err := p.Access.VerifyIssued(ctx, compact)
	switch {
	case err != nil && apierr.From(err).Kind == apierr.Unauthenticated:
		return token.Claims{}, errToken(err)
	case err == nil && !slices.Contains(granted.Audience, p.Issuer):
		return token.Claims{}, errToken(errors.New("of the platform's own sign-in"))
	}
	return granted, err
}

// errToken is one answer to whatever is wrong with a token.
func errToken(cause error) *oidc.Error {
	return &oidc.Error{ErrorType: invalidToken, Description: "the access token is not valid", Parent: cause}
}

// badToken reports whether an error is that answer.
func badToken(err error) bool {
	var e *oidc.Error
	return errors.As(err, &e) && e.ErrorType == invalidToken
}

// challenge says how to come back with a token (RFC 6750, section 3).
func challenge(w http.ResponseWriter, e *oidc.Error) {
	switch e.ErrorType {
	case invalidToken, insufficientScope, oidc.InvalidRequest:
		w.Header().Set("WWW-Authenticate", `Bearer error="`+string(e.ErrorType)+`", error_description="`+e.Description+`"`)
	default: // no fault of the token
	}
}
