package event

import (
	"context"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/trace"
)

type draftKey struct{}

// draft is the event of one piece of work while it is not known yet how it ends.
type draft struct {
	mu sync.Mutex
	e  Event
}

// NewContext returns a context that carries e as the draft of the event of this piece of work. Stores append it with the change that it
// describes (internal/outbox); it needs neither id nor time yet.
func NewContext(ctx context.Context, e Event) context.Context {
	return context.WithValue(ctx, draftKey{}, &draft{e: e})
}

// Background returns a context with the draft of work that no request asked for: the program itself is the actor.
func Background(ctx context.Context, source, method, action, objectType string) context.Context {
	e := Event{
		Source: source, Caller: source, Action: action, Method: method, Outcome: Success,
		Actor: Actor{Type: Service, ID: source}, ObjectType: objectType,
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		e.TraceID = span.TraceID().String()
	}
	return NewContext(ctx, e)
}

// FromContext returns the draft as it is now; ok is false when the work has none.
func FromContext(ctx context.Context) (e Event, ok bool) {
	ok = change(ctx, func(d *Event) {
		e = *d
		e.Changes = slices.Clone(d.Changes)
	})
	return e, ok
}

// SetObject says which object the work is about, when the request did not name it.
func SetObject(ctx context.Context, id string) {
	change(ctx, func(e *Event) { e.ObjectID = id })
}

// SetOrganization says in which organization it happens.
func SetOrganization(ctx context.Context, id string) {
	change(ctx, func(e *Event) { e.OrganizationID = id })
}

// SetChanges replaces what changes, when the request's fields do not say it.
func SetChanges(ctx context.Context, changes ...Change) {
	change(ctx, func(e *Event) { e.Changes = slices.Clone(changes) })
}

// change is safe for concurrent use; without a draft it does nothing.
func change(ctx context.Context, f func(*Event)) (ok bool) {
	d, ok := ctx.Value(draftKey{}).(*draft)
	if !ok {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.e)
	return true
}
