package postgres_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/migrations"
)

func TestOutboxTables(t *testing.T) {
	t.Parallel()
	outboxtest.CheckSchema(t, pgtest.New(t, migrations.Schema, migrations.Files), migrations.Schema)
}
