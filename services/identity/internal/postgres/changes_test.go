package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

const writers = 8

// open returns a pool with room for all writers.
func open(t *testing.T, c pg.Config) *pgxpool.Pool {
	t.Helper()
	c.MaxConns = 5 * writers
	return pgtest.Open(t, c)
}

func storeOf(t *testing.T, pool *pgxpool.Pool) *postgres.Users {
	t.Helper()
	return postgres.NewUsers(pool, outboxtest.New(t, pool, migrations.Schema))
}

// writer changes users of its own in up to three transactions at a time, and ends them in any
// order, so that many commit late and some never.
type writer struct {
	pool         *pgxpool.Pool
	organization string
	users        []string // nobody else changes them
	open         []pgx.Tx
	busy         []string // the user that each open transaction changes
}

func (w *writer) run(ctx context.Context, n int) error {
	defer func() { // after a failure
		for _, tx := range w.open {
			_ = tx.Rollback(context.WithoutCancel(ctx))
		}
	}()
	for range n {
		if len(w.open) == 3 {
			if err := w.end(ctx, rand.IntN(3)); err != nil {
				return err
			}
		}
		if err := w.change(ctx); err != nil {
			return err
		}
	}
	for len(w.open) > 0 {
		if err := w.end(ctx, 0); err != nil {
			return err
		}
	}
	return nil
}

// change begins a transaction that makes a user, changes one, or deletes one in its two steps.
func (w *writer) change(ctx context.Context) error {
	tx, err := w.pool.Begin(ctx)
	if err != nil {
		return err
	}
	id := w.users[rand.IntN(len(w.users))]
	for _, busy := range w.busy {
		if id == busy { // would wait for ourselves
			id = uuid.NewString()
		}
	}
	w.open, w.busy = append(w.open, tx), append(w.busy, id)
	sql := map[int]string{
		0: `update identity.users set state = 'deleting', deletion_due = now() where id = @id::uuid`,
		1: `with gone as (delete from identity.users where id = @id::uuid and state = 'deleting' returning id)
			insert into identity.deleted_users (id, delete_time) select id, now() from gone on conflict (id) do update set delete_time = excluded.delete_time`,
	}[rand.IntN(12)]
	args := pgx.StrictNamedArgs{"id": id}
	if sql == "" {
		args["organization_id"] = w.organization
		sql = `insert into identity.users (organization_id, id, email, display_name, locale, time_zone, state, revision, create_time, update_time)
			select @organization_id::uuid, @id::uuid, @id::uuid::text, '', '', '', 'active', 1, now(), now() where not exists (select from identity.deleted_users where id = @id::uuid)
			on conflict (id) do update set revision = users.revision + 1 where users.state = 'active'`
	}
	_, err = tx.Exec(ctx, sql, args)
	return err
}

func (w *writer) end(ctx context.Context, i int) error {
	tx := w.open[i]
	w.open, w.busy = append(w.open[:i], w.open[i+1:]...), append(w.busy[:i], w.busy[i+1:]...)
	if rand.IntN(4) == 0 {
		return tx.Rollback(ctx)
	}
	return tx.Commit(ctx)
}

// follower reads changes, breaks off in the middle of batches and goes on with the cursor of the
// last change that it kept, as its text says it.
type follower struct {
	t      *testing.T
	texts  *cursor.Texts
	cursor string
	told   map[string]int64 // revision of each user; gone is one above any
	breaks int
	count  int
}

const gone = int64(1) << 40

func newFollower(t *testing.T, keys *postgres.Users) *follower {
	return &follower{t: t, texts: cursor.NewTexts(keys, time.Hour, time.Now), told: map[string]int64{}}
}

// read reads one batch and reports whether there is more.
func (f *follower) read(store *postgres.Users, mayBreak bool) (more bool) {
	f.t.Helper()
	const limit = 7
	ctx := f.t.Context()
	c, err := f.texts.Open(ctx, f.cursor)
	check.NoError(f.t, err)
	rows, head, err := store.Changes(ctx, user.Everywhere(), c, limit)
	check.NoError(f.t, err)
	told, next, more, err := cursor.Advance(c, head, rows, limit)
	check.NoError(f.t, err)
	if mayBreak && len(told) > 1 {
		kept := rand.IntN(len(told)-1) + 1
		f.breaks++
		told, next, more = told[:kept], told[kept-1].After, true
	}
	for _, one := range told {
		revision := one.Value.User.Revision
		if one.Value.Gone {
			revision = gone
		}
		if before, known := f.told[one.Value.User.ID]; known && before >= revision {
			f.t.Fatalf("user %s is told at revision %d after %d", one.Value.User.ID, revision, before)
		}
		f.told[one.Value.User.ID] = revision
		f.count++
	}
	f.cursor, err = f.texts.Seal(ctx, next)
	check.NoError(f.t, err)
	return more
}

// wantAll compares what was told last of each user with what is stored.
func (f *follower) wantAll(pool *pgxpool.Pool) {
	f.t.Helper()
	rows, err := pool.Query(f.t.Context(), `
		select id::text, case state when 'active' then revision else $1 end from identity.users
		union all select id::text, $1 from identity.deleted_users`, gone)
	check.NoError(f.t, err)
	stored := map[string]int64{}
	var id string
	var revision int64
	_, err = pgx.ForEachRow(rows, []any{&id, &revision}, func() error {
		stored[id] = revision
		return nil
	})
	check.NoError(f.t, err)
	for id, revision := range stored {
		if f.told[id] != revision && !(revision == gone && f.told[id] == 0) {
			f.t.Errorf("user %s is told at revision %d, stored at %d", id, f.told[id], revision)
		}
	}
	for id := range f.told {
		if _, ok := stored[id]; !ok {
			f.t.Errorf("user %s was told and never stored", id)
		}
	}
}

// write lets 8 writers make n changes each, and calls read until they are done.
func write(t *testing.T, pool *pgxpool.Pool, n int, read func()) {
	t.Helper()
	organization := uuid.NewString()
	_, err := pool.Exec(t.Context(), `
		insert into identity.organizations (id, display_name, personal, revision, create_time, update_time) values ($1, '', false, 1, now(), now())`, organization)
	check.NoError(t, err)
	var wait sync.WaitGroup
	done := make(chan struct{})
	for range writers {
		w := &writer{pool: pool, organization: organization}
		for range 20 {
			w.users = append(w.users, uuid.NewString())
		}
		wait.Go(func() {
			if err := w.run(t.Context(), n); err != nil {
				t.Error(err)
			}
		})
	}
	go func() {
		wait.Wait()
		close(done)
	}()
	for {
		select {
		case <-done:
			return
		default:
			read()
		}
	}
}

// However late others commit, and however often a follower breaks off in the middle of a batch:
// what is stored is told in the end, nothing twice, and no revision falls.
func TestChangesWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	pool := open(t, pgtest.Config(t, migrations.Schema, migrations.Files))
	store := storeOf(t, pool)
	f := newFollower(t, store)
	for f.breaks < 1000 {
		write(t, pool, 150, func() { f.read(store, true) })
	}
	for f.read(store, false) {
	}
	f.wantAll(pool)
	t.Logf("%d changes told in spite of %d breaks", f.count, f.breaks)
}

// The same when the server crashes meanwhile and comes back, and gives numbers of transactions
// again that a follower has seen ended.
func TestChangesAfterACrash(t *testing.T) {
	t.Parallel()
	server, process := pgtest.Server(t)
	secret := config.NewSecret("crash")
	check.NoError(t, database.EnsureRole(t.Context(), server.SuperURL("postgres"), migrations.Schema, secret, migrations.Schema))
	c := pg.Config{URL: server.URL(migrations.Schema, secret, "postgres"), ConnectTimeout: 10 * time.Second, Wait: 10 * time.Second}
	super := c
	super.URL = server.SuperURL("postgres")
	pgtest.Exec(t, super, `alter system set wal_writer_delay = '10s'`, `select pg_reload_conf()`) // what is not durable at its commit stays so
	check.NoError(t, pg.Migrate(t.Context(), c, migrations.Schema, migrations.Files, slog.New(slog.DiscardHandler)))
	var f *follower
	for crash := range 3 {
		pool := open(t, c)
		store := storeOf(t, pool)
		if f == nil {
			f = newFollower(t, store)
		}
		write(t, pool, 60, func() { f.read(store, true) })
		abandoned, err := pool.Begin(t.Context())
		check.NoError(t, err)
		_, err = abandoned.Exec(t.Context(), `update identity.users set revision = revision + 1 where state = 'active'`)
		check.NoError(t, err)
		for range 100 { // write nothing, so that nothing of them outlives the crash
			_, err = pool.Exec(t.Context(), `select pg_current_xact_id()`)
			check.NoError(t, err)
		}
		for f.read(store, false) {
		}
		check.NoError(t, process.Kill())
		_ = abandoned.Rollback(t.Context()) // the connection is gone
		pool.Close()
		process, err = server.Start(t.Context())
		check.NoError(t, err)
		t.Logf("crash %d: %d changes told, %d breaks", crash, f.count, f.breaks)
	}
	t.Cleanup(func() { check.NoError(t, process.Kill()) })
	pool := open(t, c)
	store := storeOf(t, pool)
	for f.read(store, false) {
	}
	f.wantAll(pool)
}

// Rows that came with a copy of another server's data are told to whoever begins.
func TestChangesOfACopy(t *testing.T) {
	t.Parallel()
	pool := open(t, pgtest.Config(t, migrations.Schema, migrations.Files))
	store := storeOf(t, pool)
	write(t, pool, 10, func() {})
	_, err := pool.Exec(t.Context(), `
		alter table identity.users disable trigger users_changed;
		update identity.users set writer = '1000000000000';
		alter table identity.users enable trigger users_changed`)
	check.NoError(t, err)
	f := newFollower(t, store)
	write(t, pool, 10, func() { f.read(store, false) })
	for f.read(store, false) {
	}
	f.wantAll(pool)
}

// Who looks on behalf of all is told which organizations have news, once.
func TestTouchedOrganizations(t *testing.T) {
	t.Parallel()
	pool := open(t, pgtest.Config(t, migrations.Schema, migrations.Files))
	store := storeOf(t, pool)
	organizations := func(after cursor.Cursor) (ids []string, next cursor.Cursor) {
		t.Helper()
		ids, head, err := store.Touched(t.Context(), after)
		check.NoError(t, err)
		return ids, cursor.At(head)
	}
	write(t, pool, 3, func() {})
	ids, c := organizations(cursor.Cursor{})
	if len(ids) > 0 {
		t.Errorf("at the beginning %v", ids)
	}
	if ids, _ = organizations(c); len(ids) > 0 {
		t.Errorf("nothing happened in %v", ids)
	}
	for n := range 2 {
		write(t, pool, 3, func() {})
		if ids, _ = organizations(c); len(ids) != n+1 {
			t.Errorf("%d organizations had changes, want %d", len(ids), n+1)
		}
	}
	if ids, c = organizations(c); len(ids) != 2 {
		t.Errorf("%d organizations had changes, want 2", len(ids))
	}
	if ids, _ = organizations(c); len(ids) > 0 {
		t.Errorf("told again: %v", ids)
	}
}

// What an older program left behind is told to whoever begins and to nobody else, also what it does
// after the migration (rows of the version before).
func TestMigrationNotesWriters(t *testing.T) {
	t.Parallel()
	c := pgtest.Config(t, migrations.Schema, pgtest.Before(t, migrations.Files, "008_note_writers.sql"))
	pool := open(t, c)
	home := uuid.NewString()
	active, leaving, left := uuid.NewString(), uuid.NewString(), uuid.NewString()
	_, err := pool.Exec(t.Context(), `
		insert into identity.organizations (id, display_name, personal, revision, create_time, update_time) values ($1, '', false, 1, now(), now())`, home)
	check.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into identity.users (organization_id, id, email, display_name, locale, time_zone, state, deletion_due, revision, create_time, update_time)
		values ($1, $2, 'a', '', '', '', 'active', null, 4, now(), now()), ($1, $3, 'b', '', '', '', 'deleting', now(), 1, now(), now())`, home, active, leaving)
	check.NoError(t, err)
	_, err = pool.Exec(t.Context(), `insert into identity.deleted_users (id, delete_time) values ($1, now())`, left)
	check.NoError(t, err)
	var before, after string
	files := `select string_agg(pg_relation_filenode(c.oid)::text, ',' order by relname) from pg_class c where relname in ('users', 'deleted_users') and relnamespace = 'identity'::regnamespace`
	check.NoError(t, pool.QueryRow(t.Context(), files).Scan(&before))
	check.NoError(t, pg.Migrate(t.Context(), c, migrations.Schema, migrations.Files, slog.New(slog.DiscardHandler)))
	check.NoError(t, pool.QueryRow(t.Context(), files).Scan(&after))
	if before != after {
		t.Error("a table was written anew")
	}
	store := storeOf(t, pool)
	f := newFollower(t, store)
	read := func(want ...string) {
		t.Helper()
		clear(f.told)
		for f.read(store, false) {
		}
		if fmt.Sprint(f.told) != fmt.Sprint(wanted(want)) {
			t.Errorf("told %v, want %v", f.told, wanted(want))
		}
	}
	read(active)
	read()
	// The older program finishes a deletion, begins another one, finishes that, too.
	finish := `with gone as (delete from identity.users where id = $1 and state = 'deleting' returning id)
		insert into identity.deleted_users (id, delete_time) select id, now() from gone`
	_, err = pool.Exec(t.Context(), finish, leaving)
	check.NoError(t, err)
	read()
	_, err = pool.Exec(t.Context(), `update identity.users set state = 'deleting', deletion_due = now() where id = $1`, active)
	check.NoError(t, err)
	_, err = pool.Exec(t.Context(), finish, active)
	check.NoError(t, err)
	read("-" + active)
	var organizationID string
	check.NoError(t, pool.QueryRow(t.Context(), `select organization_id::text from identity.deleted_users where id = $1`, active).Scan(&organizationID))
	if organizationID != home {
		t.Errorf("the deletion is remembered in %q", organizationID)
	}
	read()
}

// wanted is what is told of users; a minus is a deletion.
func wanted(ids []string) map[string]int64 {
	told := map[string]int64{}
	for _, id := range ids {
		if id[0] == '-' {
			told[id[1:]] = gone
		} else {
			told[id] = 4
		}
	}
	return told
}
