// Package outboxtest is for tests of stores that append to an outbox: an outbox over the test's database, what stands in it, and
// whether its tables are right. Only tests import it.
package outboxtest

import (
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
)

// New returns an outbox over the tables of a schema, whose source is named like the schema.
func New(t testing.TB, pool *pgxpool.Pool, schema string) *outbox.Outbox {
	t.Helper()
	o, err := outbox.New(outbox.Params{
		Pool: pool, Schema: schema, Source: schema, NewID: NewID, Random: rand.Reader,
		Now: time.Now, //nolint:forbidigo // the clock of a test of a store is the wall's
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// NewID returns a UUID of version 7.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Event returns the event of a request by a user.
func Event(source, action, objectType, objectID string) event.Event {
	return event.Event{
		Source: source, Caller: "gateway", Action: action, Method: "gatehouse.test.v1.TestService/Change", Outcome: event.Success,
		Actor:      event.Actor{Type: event.User, ID: "0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11", SessionID: "session-1", ClientID: "client-1"},
		ObjectType: objectType, ObjectID: objectID, RequestID: "request-1", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
}

// Events returns the events that wait in the outbox of a schema, in their order, with their personal values.
func Events(t testing.TB, pool *pgxpool.Pool, schema string) []event.Event {
	t.Helper()
	var events []event.Event
	for _, payload := range payloads(t, pool, schema, audit.Topic) {
		sealed, err := event.UnmarshalSealed(payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := event.Verify(sealed); err != nil {
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

// Relationships returns the changes of relationships that wait in the outbox of a schema, in their order.
func Relationships(t testing.TB, pool *pgxpool.Pool, schema string) []authz.Change {
	t.Helper()
	var changes []authz.Change
	for _, payload := range payloads(t, pool, schema, authz.Topic) {
		c, err := authz.ParseChange(payload)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, c)
	}
	return changes
}

func payloads(t testing.TB, pool *pgxpool.Pool, schema, topic string) [][]byte {
	t.Helper()
	rows, err := pool.Query(t.Context(), `select payload from `+pgx.Identifier{schema, "outbox"}.Sanitize()+`
		where topic = @topic order by position`, pgx.StrictNamedArgs{"topic": topic})
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// CheckSchema fails the test unless the tables of a schema have exactly the shape of outbox.sql.
func CheckSchema(t testing.TB, pool *pgxpool.Pool, schema string) {
	t.Helper()
	rows, err := pool.Query(t.Context(), shapeSQL, pgx.StrictNamedArgs{"schema": schema})
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(shape), "\n"), got); diff != "" {
		t.Errorf("the outbox of schema %s is not as internal/outbox/outbox.sql has it (-want +got):\n%s", schema, diff)
	}
}

const shapeSQL = `
	select line from (
		select 1 as part, c.relname::text as name, a.attnum as place, format('%s.%s %s%s%s%s', c.relname, a.attname,
			format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' not null' else '' end,
			case a.attidentity when 'a' then ' identity' when 'd' then ' identity by default' else '' end,
			coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')) as line
		from pg_attribute as a join pg_class as c on c.oid = a.attrelid
			left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
		where c.relnamespace = to_regnamespace(@schema) and c.relname in ('outbox', 'refusals', 'relay') and a.attnum > 0 and not a.attisdropped
		union all
		select 2, indexname::text, 0, replace(indexdef, @schema || '.', '') from pg_indexes
		where schemaname = @schema and tablename in ('outbox', 'refusals', 'relay')
		union all
		select 3, r.relname::text, 0, format('%s: trigger or rule', r.relname) from pg_class as r
		where r.relnamespace = to_regnamespace(@schema) and r.relname in ('outbox', 'refusals', 'relay')
			and (r.relhastriggers or r.relhasrules or r.relrowsecurity or r.relpersistence <> 'p')) as s
	order by part, name, place`

const shape = `
outbox.position bigint not null identity
outbox.id uuid not null
outbox.topic text not null
outbox.key text not null
outbox.payload bytea not null
outbox.create_time timestamp with time zone not null default now()
outbox.park_time timestamp with time zone
outbox.park_reason text
refusals.minute timestamp with time zone not null
refusals.action text not null
refusals.method text not null
refusals.reason text not null
refusals.key text not null
refusals.count bigint not null
refusals.last_time timestamp with time zone not null
refusals.common jsonb not null
relay.channel text not null default ('outbox_'::text || replace((gen_random_uuid())::text, '-'::text, ''::text))
relay.pid integer
relay.session_start timestamp with time zone
relay.lease_until timestamp with time zone not null default '-infinity'::timestamp with time zone
CREATE INDEX outbox_parked ON outbox USING btree (topic) WHERE (park_time IS NOT NULL)
CREATE UNIQUE INDEX outbox_pkey ON outbox USING btree (topic, "position")
CREATE UNIQUE INDEX refusals_pkey ON refusals USING btree (minute, action, method, reason, key)
CREATE UNIQUE INDEX relay_pkey ON relay USING btree (channel)
`
