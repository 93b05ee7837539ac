package event

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

type requestKey struct{}

// NewContext returns a context that carries what is known of a request before its work is done: who
// asks, by which program and method, in which request, and what the contract says of it. It never
// changes: who makes the change takes a copy (FromContext), completes it and hands it to the store.
func NewContext(ctx context.Context, e Event) context.Context {
	return context.WithValue(ctx, requestKey{}, e)
}

// FromContext returns the event of the request, the caller's own to complete. Without a request it
// is the zero Event, which no outbox takes: what is not audited must not happen (R68).
func FromContext(ctx context.Context) Event {
	e, _ := ctx.Value(requestKey{}).(Event)
	e.Changes = slices.Clone(e.Changes)
	return e
}

// Own returns the event of work that no request asked for: the program itself is the actor.
func Own(ctx context.Context, source, action, objectType string) Event {
	e := Event{
		Source: source, Caller: source, Action: action, Outcome: Success, Actor: Actor{Type: Service, ID: source}, ObjectType: objectType,
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		e.TraceID = span.TraceID().String()
	}
	return e
}

// attempt is a refusal that knows more of what was tried than the request does.
type attempt struct {
	error
	event Event
}

// Unwrap returns the refusal itself.
func (a attempt) Unwrap() error { return a.error }

// Attempt returns a refusal with its event: whom or what it was about, as the handler has found
// out. A nil error stays nil.
func Attempt(err error, e Event) error {
	if err == nil {
		return nil
	}
	return attempt{error: err, event: e}
}

// AttemptOf returns the event that came with a refusal; ok is false when none did.
func AttemptOf(err error) (e Event, ok bool) {
	var a attempt
	ok = errors.As(err, &a)
	return a.event, ok
}
