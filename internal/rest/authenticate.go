package rest

import (
	"context"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/token"
)

// Verifier decides whether a compact token is good now (internal/token).
type Verifier interface {
	Verify(ctx context.Context, compact string) (token.Claims, error)
}

// Authenticate verifies the bearer token of every route that its contract does not call public,
// before a byte of the body is read. The services' servers verify it again. admitted is told of
// each good token. A public route never sees a token, good or bad; a web exchange reads its
// credentials by itself.
func Authenticate(verifier Verifier, admitted func(context.Context, token.Claims)) Step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if route := RouteFrom(r.Context()); route.Public() {
				if !route.exchange() {
					r.Header.Del("Authorization")
				}
				next.ServeHTTP(w, r)
				return
			}
			compact, err := bearer(r.Header["Authorization"])
			if err != nil {
				Fail(w, r, err)
				return
			}
			claims, err := verifier.Verify(r.Context(), compact)
			if err != nil {
				Fail(w, r, err)
				return
			}
			admitted(r.Context(), claims)
			next.ServeHTTP(w, r)
		})
	}
}

// bearer takes the token out of exactly one Authorization header (RFC 6750, section 2.1; R49: from nowhere else).
func bearer(values []string) (string, error) {
	switch len(values) {
	case 0:
		return "", apierr.TokenRequired().Saying("an access token is required: send Authorization: Bearer <token>")
	case 1:
		if scheme, compact, ok := strings.Cut(values[0], " "); ok && strings.EqualFold(scheme, "Bearer") && compact != "" {
			return compact, nil
		}
	}
	return "", apierr.InvalidToken()
}
