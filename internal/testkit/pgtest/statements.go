package pgtest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/pg/pgurl"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// Count returns what a statement counts, over a connection of its own.
func Count(t testing.TB, c pg.Config, sql string) (n int) {
	t.Helper()
	pool, err := pg.Open(t.Context(), c)
	check.NoError(t, err)
	defer pool.Close()
	check.NoError(t, pool.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

// Exec executes statements one after the other, over a connection of its own.
func Exec(t testing.TB, c pg.Config, statements ...string) {
	t.Helper()
	pool, err := pg.Open(t.Context(), c)
	check.NoError(t, err)
	defer pool.Close()
	for _, sql := range statements {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// Superuser returns a connection of the server's superuser to the database of a pool that New, Open
// of Config, or Split made: for what no role of a program may see.
func Superuser(t testing.TB, of *pgxpool.Pool) *pgx.Conn {
	t.Helper()
	settings, err := pgurl.Parse(join(t).SuperURL(of.Config().ConnConfig.Database))
	check.NoError(t, err)
	conn, err := pgx.ConnectConfig(t.Context(), settings)
	check.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) }) // the server ends the session in any case
	return conn
}
