package middleware

import (
	"context"
	"net/http"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// deadline bounds the call by the contract's timeout, 30 s at most (R54). Clients have no say in it. A long-lived route has none: it
// ends with the client, the token or the drain.
func deadline() step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			method := visitOf(r.Context()).route.Method
			if method == nil || method.LongLived {
				next.ServeHTTP(w, r)
				return
			}
			ctx, cancel := context.WithTimeout(r.Context(), min(method.Timeout, contract.MaxTimeout))
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}
