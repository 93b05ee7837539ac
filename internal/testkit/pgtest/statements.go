package pgtest

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/pg"
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
