package httpserver

import (
	"io"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// LimitURI refuses request targets of more than MaxURILength octets. The handler puts it where a refusal gets its request id and its
// headers.
func LimitURI(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.RequestURI) > MaxURILength {
			w.Header().Set("Connection", "close")
			WriteProblemStatus(w, r, http.StatusRequestURITooLong,
				apierr.New(apierr.InvalidArgument, "URI_TOO_LONG", "the request target is longer than 8000 octets"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limitBodyTime cuts a client that takes longer than limit to send the body. The deadline ends with the body, so that it does not
// disturb a handler that works longer.
func limitBodyTime(limit time.Duration, now func() time.Time, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		control := http.NewResponseController(w)
		if err := control.SetReadDeadline(now().Add(limit)); err == nil { // unsupported in handler tests without a connection
			r.Body = &timedBody{ReadCloser: r.Body, control: control}
		}
		next.ServeHTTP(w, r)
	})
}

// timedBody lifts the read deadline when the body has come to its end.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

// Read reads the body.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{}) // the connection is gone when this is refused
	}
	return n, err
}
