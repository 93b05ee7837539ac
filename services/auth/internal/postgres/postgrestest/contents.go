package postgrestest

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
)

// Contents are all rows of each table, for tests of what changes nothing.
func (d *Database) Contents(t *testing.T) map[string]string {
	t.Helper()
	rows, err := d.Pool.Query(t.Context(), `select tablename from pg_tables where schemaname = @schema`, pgx.StrictNamedArgs{"schema": migrations.Schema})
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, table := range tables {
		var text string
		name := pgx.Identifier{migrations.Schema, table}.Sanitize()
		if err := d.Pool.QueryRow(t.Context(), fmt.Sprintf(`select coalesce(string_agg(r::text, e'\n' order by r::text), '') from %s r`, name)).Scan(&text); err != nil {
			t.Fatal(err)
		}
		all[table] = text
	}
	return all
}
