// Package postgrestest gives Identity's tests its stores over a real database of their own, and shows what is on its way to other programs.
//
// Only tests import it.
package postgrestest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/migrations"
)

// Database is the stores of one test.
type Database struct {
	Pool          *pgxpool.Pool
	Outbox        *outbox.Outbox
	Users         *postgres.Users
	Organizations *postgres.Organizations
}

// New returns stores over an empty database. Nothing is delivered: what the stores append stays in the outbox.
func New(t testing.TB) Database {
	t.Helper()
	pool := pgtest.New(t, migrations.Schema, migrations.Files)
	out := outboxtest.New(t, pool, migrations.Schema)
	return Database{Pool: pool, Outbox: out, Users: postgres.NewUsers(pool, out), Organizations: postgres.NewOrganizations(pool, out)}
}

// Drafted returns a context with the event of a request.
func Drafted(ctx context.Context, action, objectType string) context.Context {
	e := event.Own(ctx, "identity", action, objectType)
	e.Method = "gatehouse.identity.v1.TestService/Test"
	return event.NewContext(ctx, e)
}

// Events returns the events that are on their way to Audit, in their order.
func (d Database) Events(t testing.TB) []event.Event {
	t.Helper()
	return outboxtest.Events(t, d.Pool, migrations.Schema)
}

// Relationships returns the changes that are on their way to Authz, in their order.
func (d Database) Relationships(t testing.TB) []authz.Change {
	t.Helper()
	return outboxtest.Relationships(t, d.Pool, migrations.Schema)
}
