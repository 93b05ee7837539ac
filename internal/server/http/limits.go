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
			WriteProblem(w, r, apierr.URITooLong())
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
		if err := control.SetReadDeadline(now().Add(limit)); err != nil { // unsupported in handler tests without a connection
			next.ServeHTTP(w, r)
			return
		}
		body := &timedBody{ReadCloser: r.Body, control: control}
		// A copy gets it: net/http knows by the body of its own request whether the client still
		// waits for 100 Continue. If that body is another one, a refusal waits for a body that
		// never comes.
		timed := r.WithContext(r.Context())
		timed.Body = body
		waits := r.Header.Get("Expect") != ""
		next.ServeHTTP(w, timed)
		if waits && !body.begun {
			_ = control.SetReadDeadline(now().Add(farewell))
		}
	})
}

// farewell is how long a client that was refused before it sent its body may go on sending it: some
// do not wait for 100 Continue, and would lose the response if the connection were cut at once.
const farewell = 500 * time.Millisecond

// timedBody lifts the read deadline when the body has come to its end.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	begun   bool
}

// Read reads the body.
func (b *timedBody) Read(p []byte) (int, error) {
	b.begun = true
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{}) // the connection is gone when this is refused
	}
	return n, err
}
