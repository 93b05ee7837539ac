package app

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
)

// `authz migrate` fixes what an older version wrote, whenever there is some, and leaves the events
// for who serves. It takes the time that it needs: the limit of the engine's statements, 3 s, is
// not its own.
func TestMigrateMendsMisspeltIDs(t *testing.T) {
	database := pgtest.Config(t, migrations.Schema, nil)
	for range 2 {
		check.NoError(t, Migrate(t.Context(), MigrateConfig{Postgres: database}))
	}
	id := uuid.NewString()
	i := postgrestest.Open(t, database, postgrestest.Options{})
	fgatest.Write(t, i.Engine, "platform:gatehouse#auditor@user:"+strings.ToUpper(id))
	migrateSlowly(t, i, database)
	check.NoError(t, Migrate(t.Context(), MigrateConfig{Postgres: database}))
	if !i.Has(t, "platform:gatehouse#auditor@user:"+id) || i.Has(t, "platform:gatehouse#auditor@user:"+strings.ToUpper(id)) {
		t.Error("the relationship is not fixed")
	}
	if events := i.Events(t); len(events) != 2 || events[0].Action != "authz.relationships_written" {
		t.Errorf("events %+v", events)
	}
}

// migrateSlowly migrates while the relationships cannot be read, until a statement of it has waited
// for longer than the engine's may.
func migrateSlowly(t *testing.T, i *postgrestest.Instance, database pg.Config) {
	t.Helper()
	tx, err := i.Pool.Begin(t.Context())
	check.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), "lock table authz_fga.tuple in access exclusive mode")
	check.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- Migrate(t.Context(), MigrateConfig{Postgres: database}) }()
	for waited := false; !waited; {
		select {
		case err := <-done:
			t.Fatalf("migrate ended before it could read: %v", err)
		default:
		}
		check.NoError(t, i.Pool.QueryRow(t.Context(), `
			select exists (select from pg_stat_activity
				where datname = current_database() and wait_event_type = 'Lock' and query_start < clock_timestamp() - interval '3500 ms'),
				pg_sleep(0.05) is null`).Scan(&waited, nil))
	}
	check.NoError(t, tx.Rollback(t.Context()))
	check.NoError(t, <-done)
}
