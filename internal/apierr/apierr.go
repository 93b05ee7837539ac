// Package apierr is the closed set of errors that a program may answer with, and the table of the
// kernel's own reasons. Those of a program are stated in its contract and generated as package
// reason beside its code (proto/gen/go/gatehouse/<program>/v1/reason).
//
// Domain code returns *Error; everything else becomes Internal with a fixed text.
// internal/rpcstatus and the problem document mapper (internal/server/http) are the only places
// that turn an Error into a wire format. Everybody may import it.
package apierr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
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
	HTTPStatus int    // where it is not that of the kind; 0 otherwise
	Message    string // for people; no driver text, host name or secret
	Subject    string // what the precondition or the limit is about, such as "organization:<id>"; may be empty
	Fields     []Field
	Violations int // how many fields there were, where Fields has the first of them only; 0 otherwise
	RetryAfter time.Duration
	cause      error
}

// New makes an error of the closed set. Only the tables of reasons call it, and tests.
func New(kind Kind, reason, message string) *Error {
	return &Error{Kind: kind, Reason: reason, Message: message}
}

// Because returns a copy that carries the hidden cause, for the log only.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Saying returns a copy with another text for people than the table's.
func (e *Error) Saying(message string) *Error {
	c := *e
	c.Message = message
	return &c
}

// About returns a copy that names what the precondition or the limit is about.
func (e *Error) About(subject string) *Error {
	c := *e
	c.Subject = subject
	return &c
}

// WithHTTPStatus returns a copy that has this status over HTTP instead of its kind's.
func (e *Error) WithHTTPStatus(status int) *Error {
	c := *e
	c.HTTPStatus = status
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

// TypeBase begins the type of every problem document (RFC 9457). It is an absolute URI that
// identifies the reason, whose page is in docs/problems.
const TypeBase = "https://gatehouse.dev/problems/"

// Slug is the last segment of a type, and the name of the page: "USER_NOT_FOUND" is
// "user-not-found".
func Slug(reason string) string { return strings.ReplaceAll(strings.ToLower(reason), "_", "-") }

// Status is the HTTP status of the error.
func (e *Error) Status() int {
	if e.HTTPStatus != 0 {
		return e.HTTPStatus
	}
	return e.Kind.HTTPStatus()
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
		return DeadlineExceededError().Because(err)
	case errors.Is(err, context.Canceled):
		return CanceledError().Because(err)
	default:
		return InternalError().Because(err)
	}
}
