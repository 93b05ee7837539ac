package rest

import "net/http"

// serverOptions answers OPTIONS *, which asks about the server as a whole (RFC 9110, section
// 9.3.7). net/http would answer it without the chain.
func serverOptions() Step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions && r.RequestURI == "*" {
				w.WriteHeader(http.StatusOK)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
