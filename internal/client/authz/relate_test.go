package authz_test

import (
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

const schema = "boxes"

// open returns an empty outbox and its database.
func open(t *testing.T) (*pgxpool.Pool, *outbox.Outbox) {
	t.Helper()
	pool := pgtest.New(t, schema, fstest.MapFS{"001_create_outbox.sql": {Data: []byte(outbox.DDL(schema))}})
	return pool, outboxtest.New(t, pool, schema)
}

// R68: without an event nothing is appended, so the transaction of the change fails.
func TestWorkWithoutAnEventIsRefused(t *testing.T) {
	_, o := open(t)
	ctx := t.Context()
	err := o.InTx(ctx, func(tx pgx.Tx) error {
		_, err := authz.Relate(ctx, o, tx, event.FromContext(ctx), "thing:1", relation.Change{DeleteAllOf: "thing:1"})
		return err
	})
	if err == nil {
		t.Error("Relate without an event: no error")
	}
}

func TestRelateKeepsTheOriginAndNamesTheMessage(t *testing.T) {
	pool, o := open(t)
	ctx, e := t.Context(), outboxtest.Event(schema, "thing.created", "thing", "thing-1")
	change := relation.Change{Writes: []relation.Tuple{{Object: "organization:o", Relation: "member", Subject: "user:u"}}}
	var token string
	err := o.InTx(ctx, func(tx pgx.Tx) (err error) {
		token, err = authz.Relate(ctx, o, tx, e, "organization:o", change)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var id string
	if err := pool.QueryRow(ctx, `select id::text from boxes.outbox`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	if want := request.TokenOf(id).String(); token != want {
		t.Errorf("token %s, want %s of the message", token, want)
	}
	got := outboxtest.Relationships(t, pool, schema)
	if len(got) != 1 || got[0].Origin.RequestID != "request-1" || got[0].Origin.ActorType != event.User || len(got[0].Change.Writes) != 1 {
		t.Errorf("changes %+v", got)
	}
	err = o.InTx(ctx, func(tx pgx.Tx) error {
		_, err := authz.Relate(ctx, o, tx, e, "organization:o", relation.Change{Writes: []relation.Tuple{{Object: "no object"}}})
		return err
	})
	if err == nil {
		t.Error("a change that Authz would refuse was appended")
	}
}

func TestParseRelationshipsIsStrict(t *testing.T) {
	for _, text := range []string{
		``, `{}`, `{"change":{}}`, `{"change":{"delete_all_of":"user:u"},"other":1}`, `{"change":{"delete_all_of":"user"}}`,
		`{"change":{"delete_all_of":"user:u"},"origin":{}} {}`,
	} {
		if _, err := authz.ParseChange([]byte(text)); err == nil {
			t.Errorf("%s was read", text)
		}
	}
	if _, err := authz.ParseChange([]byte(`{"change":{"delete_all_of":"user:u"},"origin":{"actor_type":"service","actor_id":"identity"}}`)); err != nil {
		t.Error(err)
	}
}
