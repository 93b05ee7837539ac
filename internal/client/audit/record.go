package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
)

// Topic is that of events in an outbox. Its payloads are sealed events (event.MarshalSealed).
const Topic = "audit"

// errNoEvent says that a change would happen without a record (R68).
var errNoEvent = errors.New("append to outbox: the change has no event: the method's contract must audit it, or the work begin with event.Own")

// Record appends an event in the transaction of the change that it is about.
func Record(ctx context.Context, o *outbox.Outbox, tx pgx.Tx, e event.Event) error {
	m, err := Seal(o, e)
	if err != nil {
		return err
	}
	return o.Append(ctx, tx, m)
}

// Seal returns the message that carries the event, for a store whose statement inserts it beside
// other work (Message.Args); after the commit such a store calls Wake. Id, time and source are
// filled in when they are empty; another source is refused.
func Seal(o *outbox.Outbox, e event.Event) (outbox.Message, error) {
	if e.Action == "" {
		return outbox.Message{}, errNoEvent
	}
	if e.Source == "" {
		e.Source = o.Source
	}
	if e.Source != o.Source {
		return outbox.Message{}, fmt.Errorf("append to outbox: %s may not speak for %q", o.Source, e.Source)
	}
	if e.ID == "" {
		e.ID = o.NewID()
	}
	if e.Time.IsZero() {
		e.Time = o.Now()
	}
	sealed, err := e.Seal(o.Random)
	if err != nil {
		return outbox.Message{}, fmt.Errorf("append to outbox: %w", err)
	}
	return outbox.Message{
		ID: e.ID, Topic: Topic, Key: e.ObjectType + ":" + e.Clean().ObjectID, Payload: event.MarshalSealed(sealed),
	}, nil
}
