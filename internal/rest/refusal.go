package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
)

// RequestID tells the client the id of its request. What a client sends under this name is for the
// edge's log only.
const RequestID = "X-Request-Id"

// Closing is an error after which the connection cannot be used further.
type Closing struct{ Err *apierr.Error }

// Error is for logs.
func (c *Closing) Error() string { return c.Err.Error() }

// Unwrap returns the error with its reason and fields.
func (c *Closing) Unwrap() error { return c.Err }

// longestName is how many characters of a name that the client chose a response repeats.
const longestName = 64

// Echo is how a response repeats such a name: enough to find it, too little to make a large
// response of.
func Echo(name string) string { return httpserver.Shorten(name, longestName) }

// TooLarge refuses a body over the limit (413).
func TooLarge(limit int64) *Closing {
	return &Closing{apierr.BodyTooLarge().WithField("", "body.max_bytes", fmt.Sprintf("must be at most %d bytes", limit))}
}

// TooMany refuses a request over its rate (429), with the time to wait. whose names what has the
// limit, such as "user".
func TooMany(whose string, wait time.Duration) error {
	return apierr.RateLimited().About(whose).WithRetryAfter(wait)
}

type noteKey struct{}

// WithNote returns a context under which Fail leaves its error in note, for the log: the response
// itself does not tell the cause.
func WithNote(ctx context.Context, note *error) context.Context {
	return context.WithValue(ctx, noteKey{}, note)
}

func note(r *http.Request, err error) {
	if note, ok := r.Context().Value(noteKey{}).(*error); ok {
		*note = err
	}
}

// Fail answers with the problem document of an error of any kind (RFC 9457); at a web exchange in
// the form that its visitors understand.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	note(r, err)
	if closing := (*Closing)(nil); errors.As(err, &closing) {
		w.Header().Set("Connection", "close")
	}
	switch VisitorsOf(r.Context()) {
	case contract.ByPrograms:
		writeOAuthError(w, r, apierr.From(err))
	case contract.ByPeople:
		writeErrorPage(w, r, apierr.From(err))
	default:
		httpserver.WriteProblem(w, r, apierr.From(err))
	}
}
