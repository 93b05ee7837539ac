package pgtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// EventuallyCounts polls until the statement counts so many: the database tells nobody when it
// changes.
func EventuallyCounts(t testing.TB, pool *pgxpool.Pool, what, sql string, want int) {
	t.Helper()
	check.Within(t, 30*time.Second, what, func() error {
		var got int
		if err := pool.QueryRow(t.Context(), sql).Scan(&got); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("there are %d, want %d", got, want)
		}
		return nil
	})
}
