// Package apierr is the closed set of errors that a program may answer with.
//
// Domain code returns *Error; everything else becomes Internal with a fixed text. The gRPC server (internal/server/grpc) and the
// problem document mapper (internal/server/http) are the only places that turn an Error into a wire format. Everybody may import it.
package apierr

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind classifies an error; each maps to one gRPC code and one HTTP status.
type Kind uint8

// The closed set of kinds.
const (
	Internal           Kind = iota // 500: a defect; the cause is logged, never sent
	InvalidArgument                // 400: the request can never succeed
	Unauthenticated                // 401: no valid credential
	PermissionDenied               // 403: a valid credential without the right
	NotFound                       // 404: unknown, or not the caller's
	AlreadyExists                  // 409: a unique value is taken
	FailedPrecondition             // 400: the state does not admit the request
	Aborted                        // 412: the etag is stale
	ResourceExhausted              // 429: a limit is reached; RetryAfter says when to come back
	Unavailable                    // 503: a dependency is down; RetryAfter says when to come back
	DeadlineExceeded               // 504: the deadline passed
	Canceled                       // 499: the client went away
	Unimplemented                  // 501: no such method
)

// Field is one violated rule of a request field.
type Field struct {
	Path        string // proto field path, such as "user.display_name"
	Rule        string // the rule's name, such as "string.max_len"
	Description string // what would be right, for people
}

// Error is what a caller may learn about a failure. The cause stays inside the process.
type Error struct {
	Kind       Kind
	Reason     string // UPPER_SNAKE, stable: clients match on it
	Message    string // for people; no driver text, host name or secret
	Fields     []Field
	RetryAfter time.Duration
	cause      error
}

// New makes an error of the closed set.
func New(kind Kind, reason, message string) *Error {
	return &Error{Kind: kind, Reason: reason, Message: message}
}

// Because returns a copy that carries the hidden cause, for the log only.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// WithField returns a copy that names one more violated field.
func (e *Error) WithField(path, rule, description string) *Error {
	c := *e
	c.Fields = append(append([]Field(nil), e.Fields...), Field{Path: path, Rule: rule, Description: description})
	return &c
}

// WithRetryAfter returns a copy that says when to come back.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Error is for logs: it includes the cause.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Reason, e.Message, e.cause)
	}
	return e.Reason + ": " + e.Message
}

// Unwrap returns the hidden cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an *Error of the same kind and reason.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Kind == e.Kind && t.Reason == e.Reason
}

// From returns err as a member of the closed set: itself, a context error's kind, or Internal.
func From(err error) *Error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return New(DeadlineExceeded, "DEADLINE_EXCEEDED", "the request took too long").Because(err)
	case errors.Is(err, context.Canceled):
		return New(Canceled, "CANCELED", "the request was canceled").Because(err)
	default:
		return New(Internal, "INTERNAL", "an internal error occurred").Because(err)
	}
}
