package postgres_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// A trail of before there were partitions becomes one: nothing of it is written anew, an Audit of
// before stores on meanwhile and afterwards, and what everybody reads is the same.
func TestATrailBecomesPartitions(t *testing.T) {
	t.Parallel()
	serving, owner := pgtest.Split(t, migrations.Schema, pgtest.Before(t, migrations.Files, "010_bound_first_events.sql"))
	served, owned := pgtest.Open(t, serving), pgtest.Open(t, owner)
	before := oldAppend(t, served, 50)
	files := filesOf(t, owned, "audit.events")
	done, stopped := make(chan struct{}), make(chan struct{})
	var stored atomic.Int64
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
				stored.Add(int64(len(oldAppend(t, served, 2))))
			}
		}
	}()
	migrate(t, owner)
	close(done)
	<-stopped
	stored.Add(int64(len(oldAppend(t, served, 2)))) // with statements that were prepared before
	after := filesOf(t, owned, "audit.events_first")
	for name, file := range files {
		renamed := strings.Replace(name, "events_by", "events_first_by", 1)
		if name == "events" {
			renamed = "events_first"
		}
		if name != "events_pkey" && name != "events_id_key" && after[renamed] != file {
			t.Errorf("%s was written anew: %s, and was %s", name, after[renamed], file)
		}
	}
	if len(after) != len(files) { // two for the unique ones, and nothing that attaching had to build
		t.Errorf("the first partition has the files %v, and had %v", after, files)
	}
	store := postgres.NewEvents(served)
	head, err := store.Head(t.Context())
	check.NoError(t, err)
	want := int64(len(before)) + stored.Load()
	var rows, positions int64
	check.NoError(t, served.QueryRow(t.Context(), "select count(*), count(distinct position) from audit.events").Scan(&rows, &positions))
	if head != want || rows != want || positions != want {
		t.Errorf("the head is %d, there are %d events at %d positions, %d were stored", head, rows, positions, want)
	}
	verdicts, err := store.Append(t.Context(), before)
	if err != nil || slices.ContainsFunc(verdicts, func(v trail.Verdict) bool { return v != trail.Known }) {
		t.Errorf("what was stored before is not known: %v, %v", verdicts, err)
	}
	check.NoError(t, postgres.CheckAppendOnly(t.Context(), served))
}

// A program whose clock is years ahead does not keep the trail from becoming partitions.
func TestAnEventOfTheFutureIsOfTheFirstPartition(t *testing.T) {
	t.Parallel()
	serving, owner := pgtest.Split(t, migrations.Schema, pgtest.Before(t, migrations.Files, "010_bound_first_events.sql"))
	served := pgtest.Open(t, serving)
	e := trailtest.Entry(t, trailtest.Event(func(e *event.Event) { e.Time = time.Date(2077, 7, 31, 23, 0, 0, 0, time.UTC) }))
	oldStore(t, served, e)
	migrate(t, owner)
	verdicts, err := postgres.NewEvents(served).Append(t.Context(), []trail.Entry{e})
	if err != nil || verdicts[0] != trail.Known {
		t.Errorf("got %v, %v", verdicts, err)
	}
}

// What happened in a month whose partition is not there yet is stored, is read, and is moved to its
// month once that is made.
func TestMonthsAreMade(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	store := postgres.NewEvents(serving)
	soon := time.Now().UTC().AddDate(0, 3, 0)
	times := []time.Time{time.Unix(0, 0).UTC(), time.Now().UTC(), soon, soon.AddDate(0, 1, 0), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}
	var entries []trail.Entry
	for _, at := range times {
		entries = append(entries, trailtest.Entry(t, trailtest.Event(func(e *event.Event) { e.Time = at.Truncate(time.Microsecond) })))
	}
	kept(t, store, entries, trail.Kept)
	conn, err := owner.Acquire(t.Context())
	check.NoError(t, err)
	defer conn.Release()
	log := slog.New(slog.DiscardHandler)
	made, err := postgres.ExtendMonths(t.Context(), conn.Conn(), soon, log)
	if err != nil || made < 5 {
		t.Errorf("%d months are made, %v", made, err)
	}
	if again, err := postgres.ExtendMonths(t.Context(), conn.Conn(), soon, log); err != nil || again != 0 {
		t.Errorf("%d are made again, %v", again, err)
	}
	for _, at := range []time.Time{soon, soon.AddDate(0, 1, 0)} {
		var n int
		check.NoError(t, owner.QueryRow(t.Context(), "select count(*) from audit.events_"+at.Format("2006_01")).Scan(&n))
		if n != 1 {
			t.Errorf("%d events are in the month of %s", n, at)
		}
	}
	kept(t, store, entries, trail.Known)
	list, err := store.List(t.Context(), trail.Query{Limit: 10})
	check.NoError(t, err)
	if len(list) != len(times) || list[0].Position != 5 || list[4].Position != 1 {
		t.Errorf("got %v", list)
	}
	check.NoError(t, postgres.CheckAppendOnly(t.Context(), serving))
}

// A month is made although somebody reads the trail for longer than is waited for a lock, and who
// appends meanwhile is not held up for as long.
func TestAReaderDoesNotKeepMonthsFromBeingMade(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	reader, err := serving.Begin(t.Context())
	check.NoError(t, err)
	defer func() { _ = reader.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = reader.Exec(t.Context(), "select from audit.events")
	check.NoError(t, err)
	made := make(chan error, 1)
	tried := make(chan struct{}, 100)
	go func() {
		conn, err := owner.Acquire(context.WithoutCancel(t.Context()))
		if err != nil {
			made <- err
			return
		}
		defer conn.Release()
		_, err = postgres.ExtendMonths(t.Context(), conn.Conn(), time.Now().AddDate(0, 2, 0), slog.New(told(tried)))
		made <- err
	}()
	<-tried // it has given up once
	trailtest.Fill(t, postgres.NewEvents(serving), 1)
	check.NoError(t, reader.Rollback(t.Context()))
	check.NoError(t, <-made)
}

// told is a log handler that says that something was logged.
func told(c chan<- struct{}) slog.Handler { return slog.NewTextHandler(teller(c), nil) }

type teller chan<- struct{}

func (c teller) Write(line []byte) (int, error) {
	c <- struct{}{}
	return len(line), nil
}

func migrate(t *testing.T, owner pg.Config) {
	t.Helper()
	check.NoError(t, pg.Migrate(t.Context(), owner, migrations.Schema, migrations.Files, slog.New(slog.DiscardHandler)))
}

func kept(t *testing.T, s *postgres.Events, entries []trail.Entry, want trail.Verdict) {
	t.Helper()
	verdicts, err := s.Append(t.Context(), entries)
	if err != nil || slices.ContainsFunc(verdicts, func(v trail.Verdict) bool { return v != want }) {
		t.Errorf("got %v, %v; want %s", verdicts, err, want)
	}
}

// filesOf are the files of a table and its indexes, by their names.
func filesOf(t *testing.T, owner *pgxpool.Pool, table string) map[string]string {
	t.Helper()
	rows, err := owner.Query(t.Context(), `
		select relname, pg_relation_filepath(oid) from pg_catalog.pg_class
		where oid = $1::text::regclass or oid in (select indexrelid from pg_catalog.pg_index where indrelid = $1::text::regclass)`, table)
	check.NoError(t, err)
	files, name, path := map[string]string{}, "", ""
	_, err = pgx.ForEachRow(rows, []any{&name, &path}, func() error {
		files[name] = path
		return nil
	})
	check.NoError(t, err)
	return files
}

// oldAppend stores n events of now as an Audit of before there were partitions does.
func oldAppend(t *testing.T, pool *pgxpool.Pool, n int) []trail.Entry {
	t.Helper()
	entries := make([]trail.Entry, n)
	for i := range entries {
		entries[i] = trailtest.Entry(t, trailtest.Event(func(e *event.Event) { e.Time = time.Now().UTC().Truncate(time.Microsecond) }))
	}
	oldStore(t, pool, entries...)
	return entries
}

// oldStore is the transaction of such an Audit: the lock, the head, the look for ids, and COPY.
func oldStore(t *testing.T, pool *pgxpool.Pool, entries ...trail.Entry) {
	t.Helper()
	check.NoError(t, pg.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		var head, known int64
		if _, err := tx.Exec(t.Context(), "lock table audit.coordination in share update exclusive mode"); err != nil {
			return err
		}
		if err := tx.QueryRow(t.Context(), "select coalesce(max(position), 0) from audit.events").Scan(&head); err != nil {
			return err
		}
		if err := tx.QueryRow(t.Context(), "select count(canonical) from audit.events where id = any($1::uuid[])", []string{entries[0].Event.ID}).Scan(&known); err != nil {
			return err
		}
		var rows [][]any
		for i, e := range entries {
			v := e.Event
			rows = append(rows, []any{
				head + 1 + int64(i), v.ID, v.Time, v.Source, v.Action, string(v.Outcome), v.Actor.ID, v.OrganizationID, v.ObjectType, v.ObjectID,
				v.RequestID, e.Sealed.Canonical,
			})
		}
		_, err := tx.CopyFrom(t.Context(), pgx.Identifier{"audit", "events"}, []string{
			"position", "id", "time", "source", "action", "outcome", "actor_id", "organization_id", "object_type", "object_id", "request_id", "canonical",
		}, pgx.CopyFromRows(rows))
		return err
	}))
}
