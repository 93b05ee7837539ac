package middleware

import (
	"context"
	"net/http"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
)

// deadline bounds the call by the contract's timeout, 30 s at most (R54). Clients have no say in it. A long-lived route has none: it
// ends with the client, the token or the drain.
func deadline() step {
	expired := apierr.TokenExpired()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := exchangeOf(r.Context())
			method := x.route.Method
			if method == nil || method.LongLived && x.expires.IsZero() {
				next.ServeHTTP(w, r)
				return
			}
			if method.LongLived {
				ctx, cancel := context.WithDeadlineCause(r.Context(), x.expires, expired)
				defer cancel()
				next.ServeHTTP(w, r.WithContext(ctx))
				return
			}
			ctx, cancel := context.WithTimeout(r.Context(), min(method.Timeout, contract.MaxTimeout))
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}
