package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
)

// RequestID tells the client the id of its request. What a client sends under this name is for the
// edge's log only.
const RequestID = "X-Request-Id"

// Refusal is an error of HTTP itself: its status is none that a service could answer with.
type Refusal struct {
	Status int
	Close  bool // the connection cannot be used further
	Err    *apierr.Error
}

// Error is for logs.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the error with its reason and fields.
func (r *Refusal) Unwrap() error { return r.Err }

// longestName is how many characters of a name that the client chose a response repeats.
const longestName = 64

// Echo is how a response repeats such a name: enough to find it, too little to make a large
// response of.
func Echo(name string) string { return httpserver.Shorten(name, longestName) }

// TooLarge refuses a body over the limit (413).
func TooLarge(limit int64) *Refusal {
	return &Refusal{Status: http.StatusRequestEntityTooLarge, Close: true, Err: apierr.New(apierr.InvalidArgument, "BODY_TOO_LARGE",
		"the body is too large").WithField("", "body.max_bytes", fmt.Sprintf("must be at most %d bytes", limit))}
}

// TooMany refuses a request over its rate (429), with the time to wait.
func TooMany(wait time.Duration) error {
	return apierr.New(apierr.ResourceExhausted, "RATE_LIMITED", "too many requests: wait as long as Retry-After says").WithRetryAfter(wait)
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

// Fail answers with the problem document of an error of any kind (RFC 9457).
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	note(r, err)
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		httpserver.WriteProblem(w, r, apierr.From(err))
		return
	}
	if refusal.Close {
		w.Header().Set("Connection", "close")
	}
	httpserver.WriteProblemStatus(w, r, refusal.Status, refusal.Err)
}
