package openid

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Error codes that the library has no constructor for.
const (
	unsupportedResponseType  = "unsupported_response_type"  // RFC 6749, section 4.1.2.1
	temporarilyUnavailable   = "temporarily_unavailable"    // the same
	requestURINotSupported   = "request_uri_not_supported"  // OpenID Connect Core, section 3.1.2.6
	registrationNotSupported = "registration_not_supported" // the same
	invalidToken             = "invalid_token"              // RFC 6750, section 3.1
	insufficientScope        = "insufficient_scope"         // the same
)

// invalidRequest is a request that cannot succeed as it is written. Its text, like that of all
// errors here, is ours: it repeats nothing of what was sent.
func invalidRequest(text string) *oidc.Error {
	return &oidc.Error{ErrorType: oidc.InvalidRequest, Description: text}
}

// ErrCodeUsed is a code that was used before.
var ErrCodeUsed = errors.New("the code was used before")

// badGrant is what is said of every code and refresh token that is not good.
const badGrant = "the grant is not valid; it may have been used, have ended or be another client's"

// invalidGrant is a code or a refresh token that is not good. What was wrong is for the log: a
// thief would learn from it.
func invalidGrant(cause string) *oidc.Error {
	return &oidc.Error{ErrorType: oidc.InvalidGrant, Description: badGrant, Parent: errors.New(cause)}
}

// invalidClient is one answer to an unknown client, a wrong secret and a wrong way to present it.
func invalidClient(cause string) *oidc.Error {
	return oidc.ErrInvalidClient().WithDescription("the client is not known, or not authenticated as it is registered").
		WithParent(errors.New(cause))
}

// asError is any error in the words of OAuth. What is not one already is a fault of ours: it is
// never an answer that lets anybody in (R62), and its text stays here (R60).
func asError(err error) *oidc.Error {
	var e *oidc.Error
	if errors.As(err, &e) {
		return e
	}
	switch apierr.From(err).Kind {
	case apierr.Unavailable, apierr.DeadlineExceeded, apierr.ResourceExhausted, apierr.Canceled:
		return &oidc.Error{ErrorType: temporarilyUnavailable, Description: "not available at the moment; try again", Parent: err}
	default:
		return oidc.ErrServerError().WithDescription("an internal error occurred").WithParent(err)
	}
}

// status is the HTTP status of an error that is answered and not sent along by a redirect.
func status(e *oidc.Error) int {
	switch e.ErrorType {
	case oidc.InvalidClient, invalidToken:
		return http.StatusUnauthorized
	case insufficientScope:
		return http.StatusForbidden
	case temporarilyUnavailable:
		return http.StatusServiceUnavailable
	case oidc.ServerError:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}

// writeError answers with an error of RFC 6749, section 5.2.
func (p *Provider) writeError(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	h := w.Header()
	switch e.ErrorType {
	case oidc.InvalidClient: // RFC 9110, section 11.6.1: a 401 has a challenge, however the client tried
		h.Set("WWW-Authenticate", `Basic realm="`+p.Issuer+`", charset="UTF-8"`)
	case temporarilyUnavailable:
		h.Set("Retry-After", strconv.Itoa(retryAfter(err)))
	default:
	}
	refuse(r.Context(), e)
	answerJSON(w, status(e), e)
}

// retryAfter is when to come back, in seconds.
func retryAfter(err error) int {
	return max(1, int(apierr.From(err).RetryAfter.Seconds()))
}
