//go:build !gatehouse_outbox_off

package outbox_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/relation"
)

func TestDDLHasTheShapeThatStoresAreCheckedFor(t *testing.T) {
	pool, _ := open(t)
	outboxtest.CheckSchema(t, pool, schema)
}

// R67: the event stands and falls with the change.
func TestRecordIsPartOfTheTransaction(t *testing.T) {
	pool, o := open(t)
	ctx := t.Context()
	about := func(id string) event.Event { return outboxtest.Event(schema, "thing.updated", "thing", id) }
	broken := errors.New("broken")
	err := o.InTx(ctx, func(tx pgx.Tx) error {
		if err := o.Record(ctx, tx, about("rolled-back")); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("InTx: %v, want its function's error", err)
	}
	err = o.InTx(ctx, func(tx pgx.Tx) error { return o.Record(ctx, tx, about("kept")) })
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
	err := o.InTx(ctx, func(tx pgx.Tx) error { return o.Record(ctx, tx, event.FromContext(ctx)) })
	if err == nil {
		t.Error("Record without an event: no error")
	}
	err = o.InTx(ctx, func(tx pgx.Tx) error {
		_, err := o.Relate(ctx, tx, event.FromContext(ctx), "thing:1", relation.Change{DeleteAllOf: "thing:1"})
		return err
	})
	if err == nil {
		t.Error("Relate without an event: no error")
	}
}

func TestRowInAStatementOfTheStore(t *testing.T) {
	pool, o := open(t)
	ctx := t.Context()
	m, err := o.Seal(outboxtest.Event(schema, "thing.created", "thing", "thing-1"))
	if err != nil {
		t.Fatal(err)
	}
	args := m.Args()
	args["id"] = "thing-1"
	_, err = pool.Exec(ctx, `
		with thing as (insert into boxes.things (id, revision) values (@id, 1))
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
	err := o.InTx(t.Context(), func(tx pgx.Tx) error { return o.Record(t.Context(), tx, e) })
	if err == nil {
		t.Error("an event of another source was appended")
	}
}

func TestRelateKeepsTheOriginAndNamesTheMessage(t *testing.T) {
	pool, o := open(t)
	ctx, e := t.Context(), outboxtest.Event(schema, "thing.created", "thing", "thing-1")
	change := relation.Change{Writes: []relation.Tuple{{Object: "organization:o", Relation: "member", Subject: "user:u"}}}
	var token string
	err := o.InTx(ctx, func(tx pgx.Tx) (err error) {
		token, err = o.Relate(ctx, tx, e, "organization:o", change)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var id string
	if err := pool.QueryRow(ctx, `select id::text from boxes.outbox`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	if want := tokenOf(id); token != want {
		t.Errorf("token %s, want %s of the message", token, want)
	}
	got := outboxtest.Relationships(t, pool, schema)
	if len(got) != 1 || got[0].Origin.RequestID != "request-1" || got[0].Origin.ActorType != event.User || len(got[0].Change.Writes) != 1 {
		t.Errorf("changes %+v", got)
	}
	err = o.InTx(ctx, func(tx pgx.Tx) error {
		_, err := o.Relate(ctx, tx, e, "organization:o", relation.Change{Writes: []relation.Tuple{{Object: "no object"}}})
		return err
	})
	if err == nil {
		t.Error("a change that Authz would refuse was appended")
	}
}

func TestAppendKeepsTheOrderOfItsMessages(t *testing.T) {
	pool, o := open(t)
	var messages []outbox.Message
	for i := range 100 {
		messages = append(messages, outbox.Message{ID: outboxtest.NewID(), Topic: "letters", Key: fmt.Sprint(i), Payload: []byte{byte(i)}})
	}
	if err := o.InTx(t.Context(), func(tx pgx.Tx) error { return o.Append(t.Context(), tx, messages...) }); err != nil {
		t.Fatal(err)
	}
	rows, err := pool.Query(t.Context(), `select key from boxes.outbox order by position`)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(keys) != 100 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for i, key := range keys {
		if key != fmt.Sprint(i) {
			t.Fatalf("message %s stands at %d", key, i)
		}
	}
}

func TestParseRelationshipsIsStrict(t *testing.T) {
	for _, text := range []string{
		``, `{}`, `{"change":{}}`, `{"change":{"delete_all_of":"user:u"},"other":1}`, `{"change":{"delete_all_of":"user"}}`,
		`{"change":{"delete_all_of":"user:u"},"origin":{}} {}`,
	} {
		if _, err := outbox.ParseRelationships([]byte(text)); err == nil {
			t.Errorf("%s was read", text)
		}
	}
	if _, err := outbox.ParseRelationships([]byte(`{"change":{"delete_all_of":"user:u"},"origin":{"actor_type":"service","actor_id":"identity"}}`)); err != nil {
		t.Error(err)
	}
}
