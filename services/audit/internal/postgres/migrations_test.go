package postgres_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
)

// What was stored before ids had one form is found by that form; what happened, the canonical
// bytes, stays as it was (issue 8, line 11).
func TestMigrationSpellsIDsOneWay(t *testing.T) {
	t.Parallel()
	_, owner := pgtest.Split(t, migrations.Schema, pgtest.Before(t, migrations.Files, "003_spell_ids_one_way.sql"))
	pool := pgtest.Open(t, owner)
	const lower, upper, name = "aaaaaaaa-2222-4333-8444-555555555555", "AAAAAAAA-2222-4333-8444-555555555555", "AAAAAAAA-2222"
	if _, err := pool.Exec(t.Context(), `
		insert into audit.events (position, id, time, source, action, outcome, actor_id, object_type, object_id, request_id, canonical)
		select position, gen_random_uuid(), now(), 'authz', 'authz.relationships_written', 'success', actor_id, 'organization', object_id, '', convert_to(object_id, 'UTF8')
		from (values (1, $1, $2), (2, $2, $1), (3, $2, $3), (4, $2, $2)) as e (position, actor_id, object_id)`, upper, lower, name); err != nil {
		t.Fatal(err)
	}
	if err := pg.Migrate(t.Context(), owner, migrations.Schema, migrations.Files, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	var actors, objects, said int
	if err := pool.QueryRow(t.Context(), `
		select count(*) filter (where actor_id = $1), count(*) filter (where object_id = $1), count(*) filter (where canonical = convert_to($2, 'UTF8'))
		from audit.events`, lower, upper).Scan(&actors, &objects, &said); err != nil {
		t.Fatal(err)
	}
	if actors != 4 || objects != 3 || said != 1 {
		t.Errorf("%d actors and %d objects are in the one form, %d events say what they said; want 4, 3, 1", actors, objects, said)
	}
}

// Events are stored while an index is built, however long that takes: here it waits for somebody's
// transaction.
func TestBuildingAnIndexHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	serving, owner := pgtest.Split(t, migrations.Schema, pgtest.Before(t, migrations.Files, "007_index_actor_positions.sql"))
	served, owned := pgtest.Open(t, serving), pgtest.Open(t, owner)
	slow, err := owned.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := slow.Exec(t.Context(), "lock table audit.events in row exclusive mode"); err != nil {
		t.Fatal(err)
	}
	migrated := make(chan error, 1)
	go func() {
		migrated <- pg.Migrate(t.Context(), owner, migrations.Schema, migrations.Files, slog.New(slog.DiscardHandler))
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for building := 0; building == 0; {
		if err := owned.QueryRow(ctx, `select count(*) from pg_stat_activity
			where datname = current_database() and wait_event_type = 'Lock' and query like '%create index%'`).Scan(&building); err != nil {
			t.Fatalf("the index is not built: %v", err)
		}
	}
	oldAppend(t, served, 1) // an Audit of before: a new one waits for its schema
	if err := slow.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Error(err)
	}
}
