package pg_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// The numbers of the advisory locks that migrations took once: ours, and that of tern's own runner.
const (
	onceOurs = 0x6761746568
	terns    = 9628173550095224
)

func session(t *testing.T, c pg.Config, statements ...string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return conn
}

// R86: several programs migrate at once, each as several processes and with indexes that are made
// concurrently, while somebody keeps the advisory locks of the whole database that migrations once
// took.
func TestNobodyElsesLockHoldsAMigrationUp(t *testing.T) {
	t.Parallel()
	c := pgtest.Config(t, "thing", nil)
	session(t, c, fmt.Sprintf("select pg_advisory_lock(%d), pg_advisory_lock(%d)", onceOurs, terns))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i := range 9 {
		schema := fmt.Sprintf("service%d", i%3)
		index := strings.ReplaceAll(indexThings, "on thing.", "on "+schema+".")
		all.Go(func() {
			if err := pg.Migrate(ctx, c, schema, files(createThings, fillThings, index), silent); err != nil {
				t.Errorf("%s: %v", schema, err)
			}
		})
	}
	all.Wait()
	pool := open(t, c)
	for i := range 3 {
		var rows, indexes int
		err := pool.QueryRow(t.Context(), fmt.Sprintf(`select (select count(*) from service%[1]d.things), (select count(*)
			from pg_index i join pg_class c on c.oid = i.indexrelid
			where c.relname = 'things_by_id' and c.relnamespace = to_regnamespace('service%[1]d') and i.indisvalid)`, i)).Scan(&rows, &indexes)
		if version, unknown := pg.SchemaVersion(t.Context(), pool, fmt.Sprintf("service%d", i)); err != nil || unknown != nil || rows != 1000 || indexes != 1 || version != 3 {
			t.Errorf("service%d: %d rows, %d valid indexes, version %d, %v, %v", i, rows, indexes, version, err, unknown)
		}
	}
}

// What holds a schema's lock while a migration works keeps no other program's concurrent index
// waiting, and no row from being vacuumed; another process of the same program waits.
func TestTheLockOfASchemaHoldsUpItsOwnMigrationsOnly(t *testing.T) {
	t.Parallel()
	c := pgtest.Config(t, "thing", nil)
	pool := open(t, c)
	err := pg.Locked(t.Context(), c, "other", silent, func(*pgx.Conn) error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := pg.Migrate(ctx, c, "thing", files(createThings, fillThings, indexThings), silent); err != nil {
			t.Errorf("another schema: %v", err)
		}
		var kept int
		err := pool.QueryRow(ctx, `select count(*) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'
			and (backend_xmin is not null or backend_xid is not null)`).Scan(&kept)
		if err != nil || kept != 0 {
			t.Errorf("%d idle sessions hold a snapshot or a transaction id, %v", kept, err)
		}
		err = whileItWaits(t, func(ctx context.Context, log *slog.Logger) error {
			return pg.Migrate(ctx, c, "other", files(createThings), log)
		})
		if err == nil || !strings.Contains(err.Error(), "wait for another migration of schema other to end") {
			t.Errorf("the same schema: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := pg.Migrate(t.Context(), c, "other", files(createThings), silent); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}

// What an operator lets idle transactions take does not end the lock.
func TestAnOperatorsTimeoutsDoNotEndTheLock(t *testing.T) {
	t.Parallel()
	c := with(t, pgtest.Config(t, "thing", nil), "idle_in_transaction_session_timeout", "100ms")
	err := pg.Locked(t.Context(), c, "thing", silent, func(work *pgx.Conn) error {
		_, err := work.Exec(t.Context(), "select pg_sleep(0.5)")
		if err != nil {
			return err
		}
		return whileItWaits(t, func(ctx context.Context, log *slog.Logger) error {
			return pg.Locked(ctx, c, "thing", log, func(*pgx.Conn) error { return nil })
		})
	})
	if err == nil || !strings.Contains(err.Error(), "wait for another migration") {
		t.Errorf("a second one under the same lock: %v", err)
	}
}

// A snapshot that somebody keeps would hold a concurrent index up for ever.
func TestAMigrationThatIsHeldUpSaysWhatToDo(t *testing.T) {
	t.Parallel()
	c := pgtest.Config(t, "thing", files(createThings, fillThings))
	session(t, c, "begin isolation level repeatable read", "select 1")
	limited := with(t, c, "lock_timeout", "200ms")
	err := pg.Migrate(t.Context(), limited, "thing", files(createThings, fillThings, indexThings), silent)
	if err == nil || !strings.Contains(err.Error(), "find it with `select pid") || !strings.Contains(err.Error(), "003_change_things.sql") {
		t.Errorf("%v", err)
	}
}

// whileItWaits ends what says that it waits.
func whileItWaits(t *testing.T, fn func(ctx context.Context, log *slog.Logger) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	waiting := &signal{seen: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- fn(ctx, slog.New(slog.NewTextHandler(waiting, nil))) }()
	select {
	case <-waiting.seen:
		cancel()
		return <-done
	case err := <-done:
		return err
	}
}

// with adds a setting of the sessions to the URL.
func with(t *testing.T, c pg.Config, setting, value string) pg.Config {
	t.Helper()
	u, err := url.Parse(c.URL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set(setting, value)
	u.RawQuery = query.Encode()
	c.URL = config.NewSecret(u.String())
	return c
}
