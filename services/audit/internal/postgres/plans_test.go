package postgres

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Every list reads an index in its order, newest first, and every read by position that of the
// positions, in each partition of the trail: a sort or a scan of the table would grow with the
// trail.
func TestListsUseTheirIndex(t *testing.T) {
	pool := filledPool(t)
	at := turnOfMonth(t, pool).Add(90 * time.Second)
	before := &trail.Cursor{Time: at, Position: 24_000}
	organization := "11111111-2222-4333-8444-000000000007"
	for title, c := range plannedLists(at, before, organization) {
		t.Run("list "+title, func(t *testing.T) {
			c.query.Limit = 51
			sql, args := listEvents(c.query)
			wantIndex(t, pool, c.index, sql, args)
		})
	}
	for title, f := range map[string]trail.Filter{
		"everything": {}, "an action": {Action: "user.deleted"}, "denied": {Outcome: event.Denied},
	} {
		t.Run("tail "+title, func(t *testing.T) {
			sql, args := rangeOfAll(f, 1000, 1500, 500)
			wantIndex(t, pool, "events_by_position", sql, args)
		})
	}
	// R93: who was admitted by one field looks at its events only, whatever the rest of the filter
	// would lead to.
	rest := trail.Filter{
		ActorID: "actor-7", ObjectID: "object-7", OrganizationID: organization, Action: "user.deleted", Outcome: event.Denied,
		ObjectType: "group", RequestID: "request-7",
	}
	for by, index := range map[trail.Field]string{
		trail.ByActor: "events_by_actor", trail.ByObject: "events_by_object", trail.ByOrganization: "events_by_organization",
	} {
		rest.By = by
		between := rest
		between.Since, between.Until = at, at.Add(time.Second)
		for title, q := range map[string]trail.Query{
			"": {Filter: rest, Limit: 51}, ", next page": {Filter: rest, Before: before, Limit: 51}, ", between": {Filter: between, Limit: 51},
		} {
			t.Run("list by "+index+title, func(t *testing.T) {
				sql, args := listEvents(q)
				wantIndex(t, pool, index, sql, args)
			})
		}
		t.Run("tail of who was admitted by "+index, func(t *testing.T) {
			sql, args, _ := rangeOfOne(rest, 0, 30_000, 500)
			wantIndex(t, pool, index+"_position", sql, args)
		})
	}
	t.Run("personal values", func(t *testing.T) {
		wantIndex(t, pool, "personal_values_pkey", personalValues, pgx.StrictNamedArgs{"positions": []int64{1, 2, 3}})
	})
}

// R93: a tail of one reads its events only, from the oldest cursor there is.
func TestTailsOfOneUseTheirIndex(t *testing.T) {
	pool := filledPool(t)
	organization := "11111111-2222-4333-8444-000000000007"
	for index, f := range map[string]trail.Filter{
		"events_by_actor_position":        {ActorID: "actor-7"},
		"events_by_object_position":       {ObjectID: "object-7", ActorID: "actor-7", Outcome: event.Denied},
		"events_by_organization_position": {OrganizationID: organization, Action: "user.deleted"},
	} {
		t.Run("tail by "+index, func(t *testing.T) {
			sql, args, ok := rangeOfOne(f, 0, 30_000, 500)
			if !ok {
				t.Fatal("the filter leads to no index")
			}
			wantIndex(t, pool, index, sql, args)
		})
	}
}

// R93: a search of one looks at the names of its events only; the events of its hits are read by
// their positions, in their months. The beginning of a tail is the last mark.
func TestSearchesUseTheirIndex(t *testing.T) {
	pool := filledPool(t)
	all := trail.Filter{ActorID: "actor-7", ObjectID: "object-7", OrganizationID: "11111111-2222-4333-8444-000000000007", Action: "user.deleted"}
	for index, f := range map[string]trail.Filter{
		"names_by_word": {Action: "user.deleted"}, "names_by_actor": {ActorID: "actor-7"}, "names_by_object": all,
		"names_by_organization": {OrganizationID: all.OrganizationID},
	} {
		t.Run(index, func(t *testing.T) {
			sql, args := namesOf(f, "ada", 5001)
			pgtest.WantIndex(t, pool, index, sql, args, "Seq Scan") // in its order once vacuum could look at all
		})
	}
	for by, index := range map[trail.Field]string{
		trail.ByActor: "names_by_actor", trail.ByObject: "names_by_object", trail.ByOrganization: "names_by_organization",
	} {
		t.Run("by "+index, func(t *testing.T) {
			f := all
			f.By = by
			sql, args := namesOf(f, "a", 5001)
			pgtest.WantIndex(t, pool, index, sql, args, "Seq Scan") // in its order once vacuum could look at all
		})
	}
	t.Run("events of hits", func(t *testing.T) {
		at := turnOfMonth(t, pool)
		sql, args := eventsAt(all, []trail.Cursor{{Time: at.Add(time.Minute), Position: 20_000}, {Time: at.Add(time.Second), Position: 15_100}})
		pgtest.WantIndex(t, pool, "events_by_position", sql, args, "Seq Scan", "Bitmap Heap Scan")
		if plan := explained(t, pool, sql, args); strings.Contains(plan, "events_first") || strings.Contains(plan, "events_later") {
			t.Errorf("more than the months of the hits are read:\n%s", plan)
		}
	})
	t.Run("names that are brought in", func(t *testing.T) {
		args := pgx.StrictNamedArgs{"after": 1000, "up_to": 2000}
		pgtest.WantIndex(t, pool, "events_by_position", namesBetween, args, "Seq Scan")
		pgtest.WantIndex(t, pool, "personal_values_pkey", namesBetween, args, "Seq Scan")
	})
	t.Run("start", func(t *testing.T) {
		if plan := explained(t, pool, lastMark, time.Now()); strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
			t.Errorf("all marks are read:\n%s", plan)
		}
	})
}

// The look for known ids reads the month of the events, and the head the ends of indexes, in a
// trail of any age.
func TestAppendsUseTheirIndex(t *testing.T) {
	pool := filledPool(t)
	at := turnOfMonth(t, pool).Add(90 * time.Second)
	t.Run("known ids", func(t *testing.T) {
		plan := explained(t, pool, lookUp, []string{"11111111-2222-4333-8444-000000000007"}, at, at.Add(time.Second))
		if strings.Contains(plan, "events_first") || strings.Contains(plan, "events_later") || strings.Contains(plan, "Seq Scan") {
			t.Errorf("more than the month of the events is read:\n%s", plan)
		}
	})
	t.Run("a step of the pass over the log", func(t *testing.T) {
		pgtest.WantIndex(t, pool, "events_by_position", eventHashes, pgx.StrictNamedArgs{"after": 4096, "up_to": 8192}, "Seq Scan")
	})
	t.Run("head", func(t *testing.T) {
		wantIndex(t, pool, "events_by_position", "select coalesce(max(position), 0) from audit.events", nil)
	})
}

// plannedLists are lists with the index that each is read by.
func plannedLists(at time.Time, before *trail.Cursor, organization string) map[string]plannedList {
	return map[string]plannedList{
		"all":                      {trail.Query{}, "events_by_time"},
		"all, next page":           {trail.Query{Before: before}, "events_by_time"},
		"between":                  {trail.Query{Filter: trail.Filter{Since: at, Until: at.Add(time.Minute)}}, "events_by_time"},
		"success":                  {trail.Query{Filter: trail.Filter{Outcome: event.Success}}, "events_by_time"},
		"failure":                  {trail.Query{Filter: trail.Filter{Outcome: event.Failure}}, "events_by_outcome"},
		"denied":                   {trail.Query{Filter: trail.Filter{Outcome: event.Denied}}, "events_by_outcome"},
		"denied, next page":        {trail.Query{Filter: trail.Filter{Outcome: event.Denied}, Before: before}, "events_by_outcome"},
		"actor":                    {trail.Query{Filter: trail.Filter{ActorID: "actor-7"}}, "events_by_actor"},
		"actor, next page":         {trail.Query{Filter: trail.Filter{ActorID: "actor-7"}, Before: before}, "events_by_actor"},
		"actor, between":           {trail.Query{Filter: trail.Filter{ActorID: "actor-7", Since: at, Until: at.Add(time.Minute)}}, "events_by_actor"},
		"object":                   {trail.Query{Filter: trail.Filter{ObjectID: "object-7"}}, "events_by_object"},
		"object with type":         {trail.Query{Filter: trail.Filter{ObjectID: "object-7", ObjectType: "user"}, Before: before}, "events_by_object"},
		"object type":              {trail.Query{Filter: trail.Filter{ObjectType: "group"}}, "events_by_object_type"},
		"organization":             {trail.Query{Filter: trail.Filter{OrganizationID: organization}}, "events_by_organization"},
		"organization, next page":  {trail.Query{Filter: trail.Filter{OrganizationID: organization}, Before: before}, "events_by_organization"},
		"action":                   {trail.Query{Filter: trail.Filter{Action: "user.deleted"}}, "events_by_action"},
		"action, next page, until": {trail.Query{Filter: trail.Filter{Action: "user.deleted", Until: at}, Before: before}, "events_by_action"},
		"request":                  {trail.Query{Filter: trail.Filter{RequestID: "request-7"}}, "events_by_request"},
	}
}

type plannedList struct {
	query trail.Query
	index string
}

func wantIndex(t *testing.T, pool *pgxpool.Pool, index, sql string, args pgx.StrictNamedArgs) {
	t.Helper()
	pgtest.WantIndex(t, pool, index, sql, args, "Seq Scan", "Sort", "Incremental Sort", "Bitmap Heap Scan")
}

// turnOfMonth is the time between the first two partitions of a trail.
func turnOfMonth(t *testing.T, pool *pgxpool.Pool) time.Time {
	t.Helper()
	all, err := partitions(t.Context(), pool)
	if err != nil || len(all) < 3 {
		t.Fatal(all, err)
	}
	return all[0].To
}

// filledPool is a trail of enough rows that the planner has a choice, as skewed as real ones:
// nearly all succeed, most are of one type. Half of them are of one month, half of the next.
func filledPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	serving, owner := pgtest.Split(t, migrations.Schema, migrations.Files)
	pool, owned := pgtest.Open(t, serving), pgtest.Open(t, owner)
	extend(t, owned, 60*24*time.Hour)
	turn := turnOfMonth(t, owned)
	for _, sql := range []string{
		`insert into audit.events (position, id, time, source, action, outcome, actor_id, organization_id, object_type, object_id, request_id, canonical)
		select n, gen_random_uuid(), @turn::timestamptz + (n - 15000) * interval '10 ms', 'identity',
			case when n % 100 = 1 then 'user.deleted' else 'user.updated' end,
			case when n % 50 = 0 then 'denied' when n % 50 = 1 then 'failure' else 'success' end,
			case when n % 10 = 0 then '' else 'actor-' || n % 17 end,
			case when n % 10 > 0 then ('11111111-2222-4333-8444-' || lpad((n % 13)::text, 12, '0'))::uuid end,
			case when n % 100 = 3 then 'group' else 'user' end, 'object-' || n % 19, 'request-' || n, repeat('x', 500)::bytea
		from generate_series(1, 30000) n`,
		`insert into audit.personal_values (position, field, salt, value)
		select n, 'email', repeat('x', 16)::bytea, '"ada@example.com"' from generate_series(1, 30000) n`,
		`insert into audit.names (position, field, word, time, organization_id, actor_id, object_id)
		select position, 'email', w || n, time, organization_id, actor_id, object_id
		from audit.events, lateral (select position % 1000 as n) v, unnest(array ['ada', 'example']) w`,
		`insert into audit.marks (time, position) select time, position from audit.events where position % 10 = 0`,
	} {
		var args []any
		if strings.Contains(sql, "@turn") {
			args = append(args, pgx.StrictNamedArgs{"turn": turn})
		}
		if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	all, err := partitions(t.Context(), owned)
	if err != nil {
		t.Fatal(err)
	}
	// As autovacuum does: neither the table above the partitions nor those in which nothing is.
	if _, err := owned.Exec(t.Context(), "vacuum analyze audit.names"); err != nil {
		t.Fatal(err)
	}
	if _, err := owned.Exec(t.Context(), "analyze audit."+all[0].Name+", audit."+all[1].Name+", audit.personal_values, audit.marks"); err != nil {
		t.Fatal(err)
	}
	return pool
}

// explained is the plan of a statement with these values.
func explained(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "explain "+sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// extend makes the months of the trail that are due so long from now.
func extend(t *testing.T, owner *pgxpool.Pool, later time.Duration) int {
	t.Helper()
	conn, err := owner.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	made, err := ExtendMonths(t.Context(), conn.Conn(), time.Now().Add(later), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return made
}
