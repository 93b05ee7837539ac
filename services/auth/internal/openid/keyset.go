package openid

import (
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/internal/web"
)

// Keys are the public keys that verify what Auth signs; *signingkey.Keeper knows them.
type Keys interface {
	// Set returns them, and how long they may be kept.
	Set() ([]token.Key, time.Duration, error)
}

// keySet answers the JSON Web Key Set (RFC 7517, section 5). A key is in it for longer than it may
// be kept before it signs (R48).
func keySet(keys Keys) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known, age, err := keys.Set()
		if err != nil {
			web.Fail(r.Context(), err)
			return
		}
		body, err := token.EncodeKeySet(known)
		writeJSON(w, r, "application/jwk-set+json", age, body, err)
	})
}

// writeJSON answers with what was marshaled, which anybody may keep for so long.
func writeJSON(w http.ResponseWriter, r *http.Request, contentType string, age time.Duration, body []byte, err error) {
	if err != nil {
		web.Fail(r.Context(), err)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", cacheable(age))
	_, _ = w.Write(append(body, '\n'))
}
