package rest

import "net/http"

// OneChunked ends the connection after a chunked request. Such a request may have named a
// Content-Length too, which net/http drops without a word; a proxy before us may have believed it,
// and would then read our next response for another client's (R58; RFC 9112, section 6.1). Clients
// of an API rarely send chunks, so the reconnect costs nobody much.
func OneChunked() Step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.TransferEncoding) > 0 {
				w.Header().Set("Connection", "close")
			}
			next.ServeHTTP(w, r)
		})
	}
}
