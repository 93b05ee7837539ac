package postgres_test

import (
	"log/slog"
	"testing"
	"testing/fstest"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
)

// What was stored before ids had one form is found by that form; what happened, the canonical bytes, stays as it was (issue 8, line 11).
func TestMigrationSpellsIDsOneWay(t *testing.T) {
	t.Parallel()
	before := fstest.MapFS{}
	for _, name := range []string{"001_create_events.sql", "002_create_outbox.sql"} {
		content, err := migrations.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		before[name] = &fstest.MapFile{Data: content}
	}
	_, owner := pgtest.Split(t, migrations.Schema, before)
	pool, err := pg.Open(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
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
