package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/refusals"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// pools are what the program serves with, and what owns the schema.
func pools(t testing.TB) (serving, owner *pgxpool.Pool) {
	t.Helper()
	s, o := pgtest.Split(t, migrations.Schema, migrations.Files)
	return pgtest.Open(t, s), pgtest.Open(t, o)
}

func TestEvents(t *testing.T) {
	trailtest.Run(t, func(t *testing.T) trailtest.Store {
		serving, _ := pools(t)
		return postgres.NewEvents(serving)
	})
}

// The serving role has what the relay needs on its own outbox.
func TestOutbox(t *testing.T) {
	t.Parallel()
	serving, _ := pools(t)
	outboxtest.CheckSchema(t, serving, migrations.Schema)
	r := refusals.New(outboxtest.New(t, serving, migrations.Schema))
	refused := trailtest.Event(func(e *event.Event) {
		e.Source, e.Outcome, e.Reason, e.Action = "audit", event.Denied, "PERMISSION_DENIED", "permission.denied"
	})
	for range 2 { // an insert, and a count
		refused.ID = outboxtest.NewID()
		if err := r.Refused(t.Context(), refused, "user:u", "key"); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if events := outboxtest.Events(t, serving, migrations.Schema); len(events) == 0 {
		t.Error("the refusal is not in the outbox")
	}
	for _, own := range []string{"update audit.outbox set park_time = now()", "delete from audit.outbox", "delete from audit.refusals"} {
		if _, err := serving.Exec(t.Context(), own); err != nil {
			t.Errorf("%s: %v", own, err)
		}
	}
}

// R72: PostgreSQL itself refuses the serving role every change and every removal of what is stored.
func TestTheServingRoleCannotChangeTheTrail(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	trailtest.Fill(t, postgres.NewEvents(serving), 3)
	for _, refused := range []string{
		"update audit.events set action = 'x.y'", "delete from audit.events", "truncate audit.events", "drop table audit.events",
		"update audit.events set position = position where false", "delete from audit.events where false",
		"alter table audit.events add column c int", "alter table audit.events disable trigger all",
		"create rule r as on insert to audit.events do instead nothing",
		"create trigger t before insert on audit.events for each row execute function suppress_redundant_updates_trigger()",
		"insert into audit.events select * from audit.events on conflict (position, time) do update set action = 'x.y'",
		"merge into audit.events e using (select 1::bigint as p) n on e.position = n.p when matched then delete",
		"select * from audit.events for update",
		"update audit.personal_values set value = ''", "delete from audit.personal_values", "truncate audit.personal_values",
		"update audit.names set word = ''", "delete from audit.names", "truncate audit.names", "delete from audit.marks",
		"update audit.schema_version set version = 0", "drop index audit.events_by_id", "set role audit_owner",
		"alter table audit.events owner to audit", "create table audit.mine (id int)",
		"insert into audit.coordination (channel) values ('x')", "delete from audit.coordination", "truncate audit.coordination",
		"do 'begin lock table audit.events in share update exclusive mode; end'",
		"select * from audit.events_first", "insert into audit.events_first select * from audit.events", "delete from audit.events_later",
		"truncate audit.events_first", "drop table audit.events_later", "alter table audit.events detach partition audit.events_first",
		"create table audit.mine partition of audit.events for values from ('1970-01-01') to ('1970-02-01')",
	} {
		_, err := serving.Exec(t.Context(), refused)
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != "42501" {
			t.Errorf("the serving role may %s: %v", refused, err)
		}
	}
	var n int
	if err := serving.QueryRow(t.Context(), "select count(*) from audit.events where action <> 'x.y'").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d events are left, %v", n, err)
	}
	if err := postgres.CheckAppendOnly(t.Context(), serving); err != nil {
		t.Error(err)
	}
	if err := postgres.CheckAppendOnly(t.Context(), owner); err == nil || !strings.Contains(err.Error(), "serve as the role audit") {
		t.Errorf("serving as the owner: %v", err)
	}
}

// What would let the serving role change the trail without any of the usual privileges is seen too.
func TestOtherWaysToChangeTheTrail(t *testing.T) {
	t.Parallel()
	for name, mistake := range map[string]string{
		"a column": "grant update (canonical) on audit.events to audit", "the values of a column": "grant update (value) on audit.personal_values to audit",
		"everybody": "grant delete on audit.events to public", "a trigger": "grant trigger on audit.personal_values to audit",
		"a partition": "grant delete on audit.events_first to audit", "a column of a partition": "grant update (canonical) on audit.events_later to audit",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serving, owner := pools(t)
			if _, err := owner.Exec(t.Context(), mistake); err != nil {
				t.Fatal(err)
			}
			if err := postgres.CheckAppendOnly(t.Context(), serving); err == nil {
				t.Errorf("%s, and the program is ready", mistake)
			}
		})
	}
}
