package pg_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

func files(statements ...string) fs.FS {
	all := fstest.MapFS{}
	for i, sql := range statements {
		all["00"+string(rune('1'+i))+"_change_things.sql"] = &fstest.MapFile{Data: []byte(sql)}
	}
	return all
}

var silent = slog.New(slog.DiscardHandler)

const (
	createThings = "create table things (id int primary key);"
	fillThings   = "insert into things select generate_series(1, 1000);"
	// The statement that waits for every other session with a snapshot, which is why a blocking lock would hang.
	indexThings = "---- tern: disable-tx ----\ncreate index concurrently things_by_id on thing.things (id);"
)

func TestMigrateBringsASchemaToTheNewestVersion(t *testing.T) {
	t.Parallel()
	c := pgtest.Config(t, "thing", nil)
	pool := open(t, c)
	if err := pg.CheckSchema(t.Context(), pool, "thing", files(createThings)); err == nil || !strings.Contains(err.Error(), "run `thing migrate`") {
		t.Errorf("before: %v", err)
	}
	for _, step := range []fs.FS{files(createThings), files(createThings), files(createThings, fillThings)} {
		if err := pg.Migrate(t.Context(), c, "thing", step, silent); err != nil {
			t.Fatal(err)
		}
	}
	if version, err := pg.SchemaVersion(t.Context(), pool, "thing"); version != 2 || err != nil {
		t.Errorf("version %d, %v", version, err)
	}
	if err := pg.CheckSchema(t.Context(), pool, "thing", files(createThings, fillThings)); err != nil {
		t.Errorf("after: %v", err)
	}
}

func TestMigrateAcceptsANewerSchema(t *testing.T) {
	t.Parallel()
	c := pgtest.Config(t, "thing", files(createThings, fillThings))
	older := files(createThings)
	if err := pg.Migrate(t.Context(), c, "thing", older, silent); err != nil {
		t.Errorf("an older program refuses a newer schema: %v", err)
	}
	pool := open(t, c)
	if err := pg.CheckSchema(t.Context(), pool, "thing", older); err != nil {
		t.Errorf("an older program is not ready on a newer schema: %v", err)
	}
	if version, err := pg.SchemaVersion(t.Context(), pool, "thing"); version != 2 || err != nil {
		t.Errorf("version %d, %v", version, err)
	}
}

func TestManyMayMigrateAtTheSameTime(t *testing.T) {
	t.Parallel()
	c := pgtest.Config(t, "thing", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			schema, steps := "thing", files(createThings, fillThings, indexThings)
			if i%4 == 3 {
				schema, steps = "other", files(createThings)
			}
			if err := pg.Migrate(ctx, c, schema, steps, silent); err != nil {
				t.Errorf("%s: %v", schema, err)
			}
		})
	}
	all.Wait()
	pool := open(t, c)
	var rows int
	var valid bool
	err := pool.QueryRow(t.Context(), `select (select count(*) from thing.things), i.indisvalid
		from pg_index i join pg_class c on c.oid = i.indexrelid where c.relname = 'things_by_id'`).Scan(&rows, &valid)
	if err != nil || rows != 1000 || !valid {
		t.Errorf("rows %d, index valid %t, %v", rows, valid, err)
	}
}

// An index that was being built when the process was killed is built anew; one that was done and
// not yet counted is kept.
func TestAnInterruptedIndexIsBuiltAnew(t *testing.T) {
	t.Parallel()
	const table = "create table things (id int);"
	const index = "---- tern: disable-tx ----\ncreate index concurrently if not exists things_by_id on thing.things (id);"
	c := pgtest.Config(t, "thing", files(table, "insert into things values (1), (1);"))
	pool := open(t, c)
	// What fails at its end leaves what a kill leaves.
	if _, err := pool.Exec(t.Context(), "create unique index concurrently things_by_id on thing.things (id)"); err == nil {
		t.Fatal("the index was built")
	}
	for _, left := range []string{"an invalid index", "a valid index"} {
		if err := pg.Migrate(t.Context(), c, "thing", files(table, "insert into things values (1), (1);", index), silent); err != nil {
			t.Fatalf("%s: %v", left, err)
		}
		var valid bool
		err := pool.QueryRow(t.Context(), "select indisvalid from pg_index where indexrelid = 'thing.things_by_id'::regclass").Scan(&valid)
		if err != nil || !valid {
			t.Errorf("%s: index valid %t, %v", left, valid, err)
		}
		if _, err := pool.Exec(t.Context(), "update thing.schema_version set version = 2"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFailedMigrationChangesNothing(t *testing.T) {
	t.Parallel()
	c := pgtest.Config(t, "thing", files(createThings))
	bad := files(createThings, "insert into things values (1); insert into things values (1);")
	err := pg.Migrate(t.Context(), c, "thing", bad, silent)
	if err == nil || !strings.Contains(err.Error(), "002_change_things.sql") {
		t.Errorf("error %v", err)
	}
	pool := open(t, c)
	var rows int
	if err := pool.QueryRow(t.Context(), "select count(*) from thing.things").Scan(&rows); err != nil || rows != 0 {
		t.Errorf("rows %d, %v", rows, err)
	}
	if err := pg.Migrate(t.Context(), c, "thing", files(createThings, fillThings), silent); err != nil {
		t.Errorf("the fixed migration: %v", err)
	}
}

func TestMigrateWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Stopped(t)
	if err := server.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	waiting := &signal{seen: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		c := pg.Config{URL: server.SuperURL("postgres"), Wait: time.Minute}
		done <- pg.Migrate(t.Context(), c, "thing", files(createThings), slog.New(slog.NewTextHandler(waiting, nil)))
	}()
	<-waiting.seen
	process, err := server.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Kill() })
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestMigrateSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	server, _ := pgtest.Server(t)
	closed := pgtest.Stopped(t)
	const canary = "canary-9a1"
	wrong := server.URL("postgres", config.NewSecret(canary), "postgres")
	silentPort := closed.URL("postgres", config.NewSecret(canary), "postgres")
	for name, c := range map[string]struct {
		config pg.Config
		schema string
		files  fs.FS
		want   string
	}{
		"wrong password": {pg.Config{URL: wrong, Wait: time.Minute}, "thing", files(createThings), "refuses this role"},
		"no database":    {pg.Config{URL: server.SuperURL("none"), Wait: time.Minute}, "thing", files(createThings), "refuses this role (SQLSTATE 3D000)"},
		"nobody answers": {pg.Config{URL: silentPort, Wait: 300 * time.Millisecond}, "thing", files(createThings), "did not answer within 300ms: start it"},
		"no URL":         {pg.Config{}, "thing", files(createThings), "set GATEHOUSE_POSTGRES_URL_FILE"},
		"no files":       {pg.Config{}, "thing", files(), "there is no"},
		"strange name":   {pg.Config{}, `a"; drop`, files(createThings), "lower-case letters"},
	} {
		err := pg.Migrate(t.Context(), c.config, c.schema, c.files, silent)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A role that may not create schemas migrates the one that the operator made for it.
func TestMigrateNeedsNoRightToCreateSchemas(t *testing.T) {
	t.Parallel()
	server, _ := pgtest.Server(t)
	if err := database.EnsureDatabase(t.Context(), server.SuperURL("postgres"), "gatehouse"); err != nil {
		t.Fatal(err)
	}
	password := config.NewSecret("it's \"x\" %I")
	if err := database.EnsureRole(t.Context(), server.SuperURL("gatehouse"), "thing", password, "thing"); err != nil {
		t.Fatal(err)
	}
	c := pg.Config{URL: server.URL("thing", password, "gatehouse")}
	if err := pg.Migrate(t.Context(), c, "thing", files(createThings), silent); err != nil {
		t.Error(err)
	}
	err := pg.Migrate(t.Context(), c, "foreign", files(createThings), silent)
	if err == nil || !strings.Contains(err.Error(), "authorization <role>") {
		t.Errorf("a schema that may not be made: %v", err)
	}
}

// signal tells when the log has its first line.
type signal struct {
	seen chan struct{}
	once sync.Once
	bytes.Buffer
}

func (s *signal) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.seen) })
	return len(p), nil
}
