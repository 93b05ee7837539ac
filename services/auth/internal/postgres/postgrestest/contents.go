package postgrestest

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
)

// Unchanged checks that what is tried changes no row of any table; that a browser was seen is no
// change.
func (d *Database) Unchanged(t *testing.T, name string, try func()) {
	t.Helper()
	before := d.contents(t)
	try()
	for table, rows := range d.contents(t) {
		if rows != before[table] {
			t.Errorf("%s: %s was\n%s\nand is\n%s", name, table, before[table], rows)
		}
	}
}

// contents are all rows of each table.
func (d *Database) contents(t *testing.T) map[string]string {
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
		statement := fmt.Sprintf(`select coalesce(string_agg((to_jsonb(r) - 'seen_time')::text, e'\n' order by (to_jsonb(r) - 'seen_time')::text), '') from %s r`,
			pgx.Identifier{migrations.Schema, table}.Sanitize())
		if err := d.Pool.QueryRow(t.Context(), statement).Scan(&text); err != nil {
			t.Fatal(err)
		}
		all[table] = text
	}
	return all
}
