package rest

import "net/http"

// SecurityHeaders sets what R26 asks of an API: no sniffing, no framing, no scripts, no referrer, no cache unless the route says so.
// Strict-Transport-Security is ignored by browsers over plain HTTP and is needed behind a TLS proxy, so it is always sent.
func SecurityHeaders() Step {
	fixed := map[string][]string{
		"Cache-Control":                {"no-store"},
		"Content-Security-Policy":      {"default-src 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Referrer-Policy":              {"no-referrer"},
		"Strict-Transport-Security":    {"max-age=31536000; includeSubDomains"},
		"X-Content-Type-Options":       {"nosniff"},
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			header := w.Header()
			for name, value := range fixed {
				header[name] = value[:1:1] // an Add must not reach into the next response
			}
			next.ServeHTTP(w, r)
		})
	}
}
