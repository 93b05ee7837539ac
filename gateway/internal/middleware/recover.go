package middleware

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/rest"
)

// recoverPanic turns a panic into a 500 without a word about it (R62). A response that has begun is
// cut off instead.
func recoverPanic(log *slog.Logger) step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				p := recover()
				if p == nil {
					return
				}
				if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares the panic value itself
					panic(p) // net/http's own way of cutting a connection
				}
				log.ErrorContext(r.Context(), "panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				if exchangeOf(r.Context()).status != 0 {
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("Connection", "close")
				rest.Fail(w, r, apierr.InternalError())
			}()
			next.ServeHTTP(w, r)
		})
	}
}
