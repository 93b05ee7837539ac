// Package postgrestest gives tests of Auth an empty database with its stores, and reads what they appended to the outbox.
package postgrestest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/consistency"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
)

// Database is an empty database of Auth, without a relay: what is appended stays.
type Database struct {
	Pool     *pgxpool.Pool
	Outbox   *outbox.Outbox
	Logins   *postgres.Logins
	Sessions *postgres.Sessions
}

// Open makes a database that goes with the test.
func Open(t *testing.T) *Database {
	t.Helper()
	pool := pgtest.New(t, migrations.Schema, migrations.Files)
	o, err := outbox.New(outbox.Params{
		Pool: pool, Schema: migrations.Schema, Source: "auth", Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
		NewID: func() string { return uuid.Must(uuid.NewV7()).String() },
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Database{Pool: pool, Outbox: o, Logins: postgres.NewLogins(pool, o), Sessions: postgres.NewSessions(pool, o)}
}

// Request returns a context with the event of a request, as the gRPC server drafts it.
func Request(ctx context.Context, action string) context.Context {
	return event.NewContext(ctx, event.Event{
		Source: "auth", Caller: "gateway", Action: action, Outcome: event.Success, Actor: event.Actor{Type: event.Anonymous}, ObjectType: "user",
		RequestID: "request-1", TraceID: "0123456789abcdef0123456789abcdef",
		Changes: []event.Change{{Field: "email", Value: []byte(`"ada@example.com"`), Personal: true}},
	})
}

// messages returns what waits in the outbox, in order.
func (d *Database) messages(t *testing.T, topic string) []outbox.Message {
	t.Helper()
	rows, err := d.Pool.Query(t.Context(), `select id::text, topic, key, payload from auth.outbox where topic = @topic order by position`,
		pgx.StrictNamedArgs{"topic": topic})
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[outbox.Message])
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Recorded returns the events that wait for Audit, in order.
func (d *Database) Recorded(t *testing.T) []event.Event {
	t.Helper()
	var events []event.Event
	for _, m := range d.messages(t, outbox.Audit) {
		sealed, err := event.UnmarshalSealed(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		e, err := sealed.Open()
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// Related returns the changes that wait for Authz, by their consistency tokens.
func (d *Database) Related(t *testing.T) map[string]relation.Change {
	t.Helper()
	changes := map[string]relation.Change{}
	for _, m := range d.messages(t, outbox.Relationships) {
		c, err := outbox.ParseRelationships(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		changes[consistency.Event(m.ID).String()] = c.Change
	}
	return changes
}
