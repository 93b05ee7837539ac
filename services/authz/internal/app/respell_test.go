package app

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
)

// `authz migrate` mends what an older version wrote, once, and leaves the event for who serves.
func TestMigrateMendsMisspeltIDs(t *testing.T) {
	database := pgtest.Config(t, migrations.Schema, nil)
	for range 2 {
		noError(t, Migrate(t.Context(), MigrateConfig{Postgres: database}))
	}
	id := uuid.NewString()
	i := postgrestest.Open(t, database, postgrestest.Options{})
	fgatest.Write(t, i.Engine, "platform:gatehouse#auditor@user:"+strings.ToUpper(id))
	for range 2 {
		noError(t, Migrate(t.Context(), MigrateConfig{Postgres: database}))
	}
	if !i.Has(t, "platform:gatehouse#auditor@user:"+id) || i.Has(t, "platform:gatehouse#auditor@user:"+strings.ToUpper(id)) {
		t.Error("the relationship is not mended")
	}
	if events := i.Events(t); len(events) != 1 || events[0].Action != "authz.relationships_written" {
		t.Errorf("events %+v", events)
	}
}
