package postgres

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Every list reads an index in its order, newest first, and every read by position the primary key: a sort or a scan of the table would
// grow with the trail.
func TestListsUseTheirIndex(t *testing.T) {
	pool := filledPool(t)
	at := time.Date(2031, 1, 1, 0, 4, 0, 0, time.UTC)
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
			wantIndex(t, pool, "events_pkey", sql, args)
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
	for index, f := range map[string]trail.Filter{ // R93: from the oldest cursor there is
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
	t.Run("personal values", func(t *testing.T) {
		wantIndex(t, pool, "personal_values_pkey", personalValues, pgx.StrictNamedArgs{"positions": []int64{1, 2, 3}})
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

// filledPool is a trail of enough rows that the planner has a choice, as skewed as real ones: nearly all succeed, most are of one type.
func filledPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	serving, owner := pgtest.Split(t, migrations.Schema, migrations.Files)
	pool, owned := pgtest.Open(t, serving), pgtest.Open(t, owner)
	for _, sql := range []string{
		`insert into audit.events (position, id, time, source, action, outcome, actor_id, organization_id, object_type, object_id, request_id, canonical)
		select n, gen_random_uuid(), timestamptz '2031-01-01 00:00:00Z' + n * interval '10 ms', 'identity',
			case when n % 100 = 1 then 'user.deleted' else 'user.updated' end,
			case when n % 50 = 0 then 'denied' when n % 50 = 1 then 'failure' else 'success' end,
			case when n % 10 = 0 then '' else 'actor-' || n % 17 end,
			case when n % 10 > 0 then ('11111111-2222-4333-8444-' || lpad((n % 13)::text, 12, '0'))::uuid end,
			case when n % 100 = 3 then 'group' else 'user' end, 'object-' || n % 19, 'request-' || n, repeat('x', 500)::bytea
		from generate_series(1, 30000) n`,
		`insert into audit.personal_values (position, field, salt, value)
		select n, 'email', repeat('x', 16)::bytea, '"ada@example.com"' from generate_series(1, 30000) n`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := owned.Exec(t.Context(), `analyze audit.events, audit.personal_values`); err != nil {
		t.Fatal(err)
	}
	return pool
}
