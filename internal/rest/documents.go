package rest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/token"
)

// documentAge is how long clients may keep a document that only changes with the program.
const documentAge = 5 * time.Minute

// Document answers a fixed document.
func Document(contentType string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { document(w, contentType, documentAge, body) })
}

func document(w http.ResponseWriter, contentType string, age time.Duration, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(age.Seconds())))
	_, _ = w.Write(body) // the client is gone when this is refused
}

// Keys are the public keys that verify access tokens; *token.KeyCache knows them.
type Keys interface {
	Set() []token.Key
	MaxAge() time.Duration
}

// KeySet answers the JSON Web Key Set that the gateway itself verifies with (RFC 7517), for those who verify tokens outside of the
// mesh. A new key is in it long enough before it signs (R48).
func KeySet(keys Keys) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known := keys.Set()
		if len(known) == 0 {
			Fail(w, r, apierr.KeysUnavailable().Saying("the keys are not known yet").WithRetryAfter(time.Second))
			return
		}
		body, err := token.EncodeKeySet(known)
		if err != nil {
			Fail(w, r, apierr.From(err))
			return
		}
		// Half: the cache here may itself be half its age old.
		document(w, "application/jwk-set+json", keys.MaxAge()/2, append(body, '\n'))
	})
}
