package postgres

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// What is news is found in an index, however many users there are and however long a transaction
// runs; only a batch is put in order.
func TestNewsUsesItsIndex(t *testing.T) {
	pool := pgtest.New(t, migrations.Schema, migrations.Files)
	one, all := user.In(fill(t, pool)), user.Everywhere()
	begun := cursor.Cursor{Until: mark(t, "5:900:5"), Place: cursor.Place{Key: uuid.NewString()}}
	later := cursor.Cursor{Seen: mark(t, "5:900:5,700"), Until: mark(t, "700:2000:700"), Place: cursor.Place{Writer: 905, Key: uuid.NewString()}}
	for _, c := range []struct {
		scope user.Scope
		after cursor.Cursor
		index string
	}{
		{one, cursor.Cursor{}, "users_pkey"},
		{one, begun, "users_pkey"},
		{all, cursor.Cursor{}, "users_id_key"},
		{all, begun, "users_id_key"},
		{one, later, "users_by_writer"},
		{one, later, "deleted_users_by_writer"},
		{all, later, "all_users_by_writer"},
		{all, later, "all_deleted_users_by_writer"},
	} {
		sql, args := selectChanges(c.scope, c.after, 101)
		pgtest.WantIndex(t, pool, c.index, sql, args, "Seq Scan")
	}
	for _, index := range []string{"all_users_by_writer", "all_deleted_users_by_writer"} {
		sql, args := selectTouched(cursor.Cursor{Seen: mark(t, "5:5990:5,5900")}) // a second ago
		pgtest.WantIndex(t, pool, index, sql, args, "Seq Scan")
	}
}

func mark(t *testing.T, text string) cursor.Mark {
	t.Helper()
	s, err := cursor.ParseSnapshot(text)
	if err != nil {
		t.Fatal(err)
	}
	return cursor.Mark{Snapshot: s, Time: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)}
}
