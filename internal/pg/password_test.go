package pg_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// The password of a role is changed while its program runs: whichever of file and server changes
// first, no new connection fails.
func TestNewConnectionsFollowAChangedPassword(t *testing.T) {
	t.Parallel()
	server, _ := pgtest.Server(t)
	change := func(password string) {
		t.Helper()
		if err := database.EnsureRole(t.Context(), server.SuperURL("gatehouse"), "thing", config.NewSecret(password), "thing"); err != nil {
			t.Fatal(err)
		}
	}
	if err := database.EnsureDatabase(t.Context(), server.SuperURL("postgres"), "gatehouse"); err != nil {
		t.Fatal(err)
	}
	change("first")
	path := filepath.Join(t.TempDir(), "postgres-thing.url")
	write := func(password string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(address(server, password)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	var c struct {
		Postgres pg.Config `embed:""`
	}
	if _, err := config.Parse("thing", &c, nil, []string{"GATEHOUSE_POSTGRES_URL_FILE=" + path}, io.Discard); err != nil {
		t.Fatal(err)
	}
	pool, err := pg.Open(t.Context(), c.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	connects := func(when string, want bool) {
		t.Helper()
		pool.Reset() // what is open goes on in any case
		if err := pg.Ping(t.Context(), pool); (err == nil) != want {
			t.Errorf("%s: %v", when, err)
		}
	}
	connects("before", true)
	write("second")
	connects("the file is ahead", true)
	change("second")
	connects("both have changed", true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	connects("the file is gone", true)
	write("third")
	change("third")
	connects("both have changed between two connections", true)
	change("fourth")
	connects("the server is ahead", false)
	write("fourth")
	connects("the file has followed", true)
	started, err := pg.Open(t.Context(), c.Postgres) // with what the file had at its start
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(started.Close)
	if err := pg.Ping(t.Context(), started); err != nil {
		t.Errorf("a pool that was opened later: %v", err)
	}
}

func address(server *pgserver.Server, password string) string {
	return server.URL("thing", config.NewSecret(password), "gatehouse").Reveal()
}
