package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

const (
	ada   = "cccccccc-2222-4333-8444-555555555555"
	grace = "dddddddd-2222-4333-8444-555555555555"
)

// did is an event with personal values, and where its actor was.
func did(t *testing.T, actor, kind, object, from string, personal ...string) trail.Entry {
	t.Helper()
	return trailtest.Entry(t, trailtest.Event(func(e *event.Event) {
		e.Time, e.OrganizationID = time.Now(), acme
		e.Actor = event.Actor{Type: event.User, ID: actor}
		if actor == "" {
			e.Actor = event.Actor{Type: event.Anonymous}
		}
		e.ObjectType, e.ObjectID, e.ClientAddress, e.Changes = kind, object, from, event.PersonalTexts(personal...)
	}))
}

// An erasure removes what was planted of a person from every column of every table, wherever it
// stands, and leaves what is of others; every event that is left is good.
func TestErasureLeavesNothingOfAPerson(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	const address, place = "ada@planted.example", "203.0.113.77"
	kept(t, k.store, []trail.Entry{
		did(t, grace, "user", ada, "198.51.100.1", "email", address, "display_name", "Planted Ada"),
		did(t, "", "session", "", place, "email", address), // tried before it was known whose it is
		did(t, "", "user", ada, place, "email", address),
		did(t, ada, "user", ada, place, "new_email", "second@planted.example"),
		did(t, ada, "organization", acme, place, "display_name", "Planted & Sons"),
		did(t, ada, "user", grace, place, "email", "grace@kept.example"),
		trailtest.Entry(t, trailtest.Event(func(e *event.Event) {
			e.Actor.ID, e.ClientAddress = grace, "198.51.100.1"
			e.Changes = []event.Change{{Field: "users.email", Value: json.RawMessage(`["x@planted.example","` + address + `"]`), Personal: true}}
		})),
		did(t, grace, "user", grace, "198.51.100.1", "email", "grace@kept.example"),
		did(t, "", "session", "", "192.0.2.9", "email", "second@planted.example"),
		did(t, "", "session", "", "192.0.2.9", "email", strings.ToUpper(address)), // as it was typed
	}, trail.Kept)
	k.park(t, did(t, ada, "user", ada, place, "display_name", "Planted Ada"))
	check.NoError(t, k.store.BringNames(t.Context())) // for searches
	planted := []string{address, place, "Planted", "planted", "second@planted.example", strings.ToUpper(address)}
	if places := everywhere(t, k, planted); len(places) < 10 || !strings.Contains(strings.Join(places, "\n"), "audit.names.word: planted") {
		t.Fatalf("planted are only %v", places)
	}
	done, err := k.upkeep.Erase(t.Context(), postgres.Erasure{UserID: strings.ToUpper(ada), Reason: "she asked for it"})
	if err != nil || done.Values != 18 || done.Held != 0 || done.Waiting != 0 {
		t.Errorf("erased %+v, %v", done, err)
	}
	if places := everywhere(t, k, planted); len(places) > 0 {
		t.Errorf("left are %v", places)
	}
	for _, others := range []string{"grace@kept.example", "198.51.100.1"} {
		if places := everywhere(t, k, []string{others}); len(places) < 2 {
			t.Errorf("of %s is left %v", others, places)
		}
	}
	list, err := k.store.List(t.Context(), trail.Query{Limit: 20}) // opens each, against its hashes
	if err != nil || len(list) != 10 {
		t.Errorf("%d events, %v", len(list), err)
	}
	_, err = k.owner.Exec(t.Context(), "delete from audit.outbox where park_time is not null")
	check.NoError(t, err)
	if got := k.recorded(t); !strings.Contains(got, "audit.personal_values_erased user:"+ada+` values=18 held=0 reason="she asked for it"`) {
		t.Errorf("recorded is\n%s", got)
	}
}

// What is held stays until the hold is lifted; who is unknown is said to be.
func TestHoldsBeatErasure(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	kept(t, k.store, []trail.Entry{did(t, ada, "user", ada, "203.0.113.77", "email", "ada@planted.example")}, trail.Kept)
	id, err := k.upkeep.SetHold(t.Context(), trail.Hold{SubjectID: ada, Reason: "a case"})
	check.NoError(t, err)
	if done, err := k.upkeep.Erase(t.Context(), postgres.Erasure{UserID: ada, Reason: "she asked"}); err != nil || done != (postgres.Erased{Held: 2, Waiting: 0}) {
		t.Errorf("erased %+v, %v", done, err)
	}
	if places := everywhere(t, k, []string{"planted"}); len(places) != 1 {
		t.Errorf("left is %v", places)
	}
	check.NoError(t, k.upkeep.LiftHold(t.Context(), id, "closed"))
	if done, err := k.upkeep.Erase(t.Context(), postgres.Erasure{UserID: ada, Reason: "she asked"}); err != nil || done.Values != 2 {
		t.Errorf("erased %+v, %v", done, err)
	}
	before := k.recorded(t)
	for name, who := range map[string]string{"nobody": "", "a stranger": grace} {
		if _, err := k.upkeep.Erase(t.Context(), postgres.Erasure{UserID: who, Reason: "r"}); err == nil {
			t.Errorf("%s is erased", name)
		}
	}
	if _, err := k.upkeep.Erase(t.Context(), postgres.Erasure{UserID: ada, Reason: ""}); err == nil || k.recorded(t) != before {
		t.Errorf("without a reason: %v", err)
	}
}

// everywhere reads every column of every table of the database, as its superuser, and returns where
// one of the texts stands.
func everywhere(t *testing.T, k keeping, texts []string) (places []string) {
	t.Helper()
	conn := pgtest.Superuser(t, k.owner)
	rows, err := conn.Query(t.Context(), `
		select quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(a.attname), a.atttypid = 'bytea'::regtype
		from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'm') and a.attnum > 0 and not a.attisdropped and n.nspname <> 'pg_catalog' and n.nspname <> 'information_schema'`)
	check.NoError(t, err)
	type column struct {
		Table, Name string
		Bytes       bool
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	check.NoError(t, err)
	for _, c := range columns {
		for _, text := range texts {
			found := "(" + c.Name + ")::text"
			if c.Bytes {
				found = "encode(" + c.Name + ", 'escape')"
			}
			var n int
			check.NoError(t, conn.QueryRow(context.WithoutCancel(t.Context()), fmt.Sprintf("select count(*) from %s where position($1 in %s) > 0", c.Table, found), text).Scan(&n))
			for range n {
				places = append(places, c.Table+"."+c.Name+": "+text)
			}
		}
	}
	return places
}
