package middleware

import (
	"context"
	"net/http"

	"github.com/gatehouse/gatehouse/gateway/internal/rest"
	"github.com/gatehouse/gatehouse/internal/logging"
)

// requestIDHeader carries the id in both directions.
const requestIDHeader = "X-Request-Id"

// requestID begins the visit and names the request: by the client's X-Request-Id when it is well-formed, else by a fresh id. The
// answer repeats it.
func requestID(newID func() string) step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var id string
			if sent := r.Header[requestIDHeader]; len(sent) == 1 && logging.ValidRequestID(sent[0]) {
				id = sent[0]
			} else {
				id = newID()
			}
			w.Header().Set(requestIDHeader, id)
			v := &visit{ResponseWriter: w}
			ctx := context.WithValue(logging.WithRequestID(r.Context(), id), visitKey{}, v)
			ctx = rest.WithNote(ctx, &v.failure)
			next.ServeHTTP(v, r.WithContext(ctx))
		})
	}
}
