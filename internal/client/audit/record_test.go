package audit_test

import (
	"errors"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

const schema = "boxes"

// open returns an empty outbox and its database.
func open(t *testing.T) (*pgxpool.Pool, *outbox.Outbox) {
	t.Helper()
	pool := pgtest.New(t, schema, fstest.MapFS{"001_create_outbox.sql": {Data: []byte(outbox.DDL(schema))}})
	return pool, outboxtest.New(t, pool, schema)
}

// R67: the event stands and falls with the change.
func TestRecordIsPartOfTheTransaction(t *testing.T) {
	pool, o := open(t)
	ctx := t.Context()
	about := func(id string) event.Event { return outboxtest.Event(schema, "thing.updated", "thing", id) }
	broken := errors.New("broken")
	err := o.InTx(ctx, func(tx pgx.Tx) error {
		if err := audit.Record(ctx, o, tx, about("rolled-back")); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("InTx: %v, want its function's error", err)
	}
	err = o.InTx(ctx, func(tx pgx.Tx) error { return audit.Record(ctx, o, tx, about("kept")) })
	if err != nil {
		t.Fatal(err)
	}
	events := outboxtest.Events(t, pool, schema)
	if len(events) != 1 {
		t.Fatalf("%d events, want the one that was committed", len(events))
	}
	e := events[0]
	if e.ObjectID != "kept" || e.Action != "thing.updated" || e.Source != schema || e.Count != 1 || e.RequestID != "request-1" || e.ID == "" {
		t.Errorf("event %+v is not the one of the request", e)
	}
}

// R68: without an event nothing is appended, so the transaction of the change fails.
func TestWorkWithoutAnEventIsRefused(t *testing.T) {
	_, o := open(t)
	ctx := t.Context()
	err := o.InTx(ctx, func(tx pgx.Tx) error { return audit.Record(ctx, o, tx, event.FromContext(ctx)) })
	if err == nil {
		t.Error("Record without an event: no error")
	}
}

func TestRowInAStatementOfTheStore(t *testing.T) {
	pool, o := open(t)
	ctx := t.Context()
	m, err := audit.Seal(o, outboxtest.Event(schema, "thing.created", "thing", "thing-1"))
	if err != nil {
		t.Fatal(err)
	}
	args := m.Args()
	_, err = pool.Exec(ctx, `
		insert into boxes.outbox (id, topic, key, payload) values (@outbox_id, @outbox_topic, @outbox_key, @outbox_payload)`, args)
	if err != nil {
		t.Fatal(err)
	}
	if events := outboxtest.Events(t, pool, schema); len(events) != 1 || events[0].ID != m.ID || m.Key != "thing:thing-1" {
		t.Errorf("events %v, message %v", events, m)
	}
}

func TestRecordEventSpeaksForItsSourceOnly(t *testing.T) {
	_, o := open(t)
	e := event.Event{Source: "other", Action: "thing.updated", Outcome: event.Success, Actor: event.Actor{Type: event.Anonymous}}
	err := o.InTx(t.Context(), func(tx pgx.Tx) error { return audit.Record(t.Context(), o, tx, e) })
	if err == nil {
		t.Error("an event of another source was appended")
	}
}
