package middleware

import (
	"context"
	"net/http"

	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rest"
)

// requestID begins the exchange and names the request with a fresh id, which the response tells. A
// client's own X-Request-Id goes into the gateway's log beside it and no further: nobody chooses
// what stands in the trail, or makes one's request look like another's (R93).
func requestID(newID func() string) step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := newID()
			w.Header().Set(rest.RequestID, id)
			x := &exchange{ResponseWriter: w}
			if sent := r.Header[rest.RequestID]; len(sent) == 1 && request.ValidID(sent[0]) {
				x.clientID = sent[0]
			}
			ctx := context.WithValue(request.WithID(r.Context(), id), exchangeKey{}, x)
			ctx = rest.WithNote(ctx, &x.failure)
			next.ServeHTTP(x, r.WithContext(ctx))
		})
	}
}
