package pg_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// R86: on a server where everybody may take advisory locks, a role can fill the table that all
// locks share. What then cannot be written anywhere is not ready, with that reason, and is again
// when the locks are gone.
func TestAFullLockTableIsNotReady(t *testing.T) {
	t.Parallel()
	server, _ := pgtest.Server(t)
	if err := database.EnsureDatabase(t.Context(), server.SuperURL("postgres"), "gatehouse"); err != nil {
		t.Fatal(err)
	}
	password := config.NewSecret("pw")
	for _, role := range []string{"thing", "stranger"} {
		if err := database.EnsureRole(t.Context(), server.SuperURL("gatehouse"), role, password, role); err != nil {
			t.Fatal(err)
		}
	}
	pool := open(t, pg.Config{URL: server.URL("thing", password, "gatehouse")})
	if err := pg.CheckWrites(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	stranger, err := pgx.Connect(t.Context(), server.URL("stranger", password, "gatehouse").Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Exec(t.Context(), "select count(pg_advisory_lock(n)) from generate_series(1, 100000) n"); err == nil {
		t.Fatal("100,000 locks fit into the table")
	}
	began := time.Now()
	if got := reason(pg.CheckWrites(t.Context(), pool)); got != "DATABASE_FULL_OF_LOCKS" {
		t.Errorf("while the table is full: %s", got)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to see it", took)
	}
	if err := stranger.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for err = pg.CheckWrites(t.Context(), pool); err != nil; err = pg.CheckWrites(t.Context(), pool) {
		if time.Now().After(deadline) {
			t.Fatalf("after the locks are gone: %v", err)
		}
	}
}
