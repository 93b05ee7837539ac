package pgtest_test

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

func migrations() fstest.MapFS {
	return fstest.MapFS{"001_create_things.sql": {Data: []byte("create table things (name text primary key);")}}
}

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t, "things", migrations())
			var rows int
			if err := pool.QueryRow(t.Context(), "select count(*) from things.things").Scan(&rows); err != nil || rows != 0 {
				t.Fatalf("rows = %d, %v; want an empty table", rows, err)
			}
			if _, err := pool.Exec(t.Context(), "insert into things values ('a')"); err != nil {
				t.Fatalf("insert by the search path: %v", err)
			}
		})
	}
}

func TestTheRoleIsNamedLikeTheSchemaAndIsNoSuperuser(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, "things", migrations())
	var role string
	var super bool
	err := pool.QueryRow(t.Context(), "select current_user, rolsuper from pg_roles where rolname = current_user").Scan(&role, &super)
	if err != nil || role != "things" || super {
		t.Fatalf("role = %q, superuser = %t, %v", role, super, err)
	}
}

func TestWithoutFilesNothingIsMigrated(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, "things", nil)
	version, err := pg.SchemaVersion(t.Context(), pool, "things")
	if err != nil || version != 0 {
		t.Fatalf("version = %d, %v; want 0", version, err)
	}
}

func TestAPrivateServerCanBeStartedAgainAndIsEndedWithTheTest(t *testing.T) {
	t.Parallel()
	var again *pgserver.Process
	t.Run("started again", func(t *testing.T) {
		server, process := pgtest.Server(t)
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		var err error
		if again, err = server.Start(t.Context()); err != nil {
			t.Fatalf("start after a crash: %v", err)
		}
	})
	if again == nil {
		return
	}
	select {
	case <-again.Exited():
	case <-time.After(10 * time.Second):
		t.Errorf("process %d outlives its test", again.PID())
	}
}
