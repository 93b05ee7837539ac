package middleware

import (
	"net/http"

	"github.com/gatehouse/gatehouse/gateway/internal/rest"
)

// bodyLimit refuses a body that says it is too large (413) and cuts off one that turns out to be.
func bodyLimit(limit int64) step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > limit {
				rest.Fail(w, r, rest.TooLarge(limit))
				return
			}
			if r.Body != nil && r.Body != http.NoBody {
				r.Body = http.MaxBytesReader(w, r.Body, limit)
			}
			next.ServeHTTP(w, r)
		})
	}
}
