package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// Who appends is not held up by who wants to make months and cannot, because somebody reads the
// trail for long: the locks of an append can be had although that reader never ends. The limit is
// far above the wait, for a machine that others keep busy.
func TestAppendsGoOnBesideALongReader(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	reader, err := serving.Begin(t.Context())
	check.NoError(t, err)
	defer func() { _ = reader.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = reader.Exec(t.Context(), "select from audit.events")
	check.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended, tried := make(chan error, 1), make(chan struct{}, 100)
	go func() {
		_, err := postgres.ExtendMonths(ctx, owner, time.Now().AddDate(0, 2, 0), slog.New(told(tried)))
		ended <- err
	}()
	for tries := 0; tries < 2; {
		check.NoError(t, pg.InTx(t.Context(), serving, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `
				set local lock_timeout = '20s'; lock table audit.coordination in share update exclusive mode; lock table audit.events in row exclusive mode`)
			return err
		}))
		select {
		case <-tried:
			tries++
		default:
		}
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("months are made beside a reader")
	}
}

// A month is dropped once its reader has ended, with everything counted once, and events are stored
// meanwhile.
func TestAMonthIsDroppedAfterItsReader(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	pastMonths(t, k.owner, time.Now().AddDate(-1, 0, 0))
	kept(t, k.store, []trail.Entry{daysAgo(t, 300, acme), daysAgo(t, 299, acme), daysAgo(t, 0, "")}, trail.Kept)
	for _, class := range trail.Classes() {
		k.retain(t, "", class, 200)
	}
	check.NoError(t, sequencer(t, k.owner).Grow(t.Context()))
	_, err := postgres.ExtendMonths(t.Context(), k.owner, time.Now(), slog.New(slog.DiscardHandler)) // they would wait first
	check.NoError(t, err)
	reader, err := k.serving.Begin(t.Context())
	check.NoError(t, err)
	defer func() { _ = reader.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = reader.Exec(t.Context(), "select from audit.events")
	check.NoError(t, err)
	tried, ended := make(chan struct{}, 100), make(chan error, 1)
	upkeep := postgres.NewUpkeep(outboxtest.New(t, k.owner, "audit"), slog.New(told(tried)))
	var done postgres.Kept
	go func() {
		var err error
		done, err = upkeep.Keep(t.Context(), time.Now())
		ended <- err
	}()
	select {
	case <-tried:
	case err := <-ended:
		t.Fatal("it does not wait for the reader:", err)
	}
	kept(t, k.store, []trail.Entry{daysAgo(t, 0, acme)}, trail.Kept)
	check.NoError(t, reader.Rollback(t.Context()))
	check.NoError(t, <-ended)
	if events, values := k.left(t); events != "3 4" || values != events || done.Events != 2 || done.PersonalValues != 2 || len(done.Months) < 2 {
		t.Errorf("left are %s with values of %s, %+v", events, values, done)
	}
}

// What is in events_later comes to its months in parts, while it is served; who was killed in
// between is followed by who goes on, and nothing is removed meanwhile.
func TestLaterEventsComeToTheirMonthsInParts(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	now := time.Now().UTC()
	soon := time.Date(now.Year(), now.Month()+4, 10, 0, 0, 0, 0, time.UTC)
	const n = 12_000 // three parts
	fillLater(t, k.owner, soon, n)
	for _, class := range trail.Classes() {
		k.retain(t, "", class, 30)
	}
	_, err := k.owner.Exec(t.Context(), "update audit.retention set since = $1", soon.Add(time.Hour)) // all of it is over
	check.NoError(t, err)
	// Of the months that are being made nobody removes anything: that would come back with them.
	appending := lockTrail(t, k.owner)
	removed := make(chan error, 1)
	go func() {
		_, err := k.upkeep.Keep(context.WithoutCancel(t.Context()), now.AddDate(-1, 0, 0))
		removed <- err
	}()
	awaits(t, k.owner, "audit.coordination") // it has found no months to make
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := postgres.ExtendMonths(ctx, k.owner, soon, slog.New(slog.NewTextHandler(stopper(cancel), nil))); err == nil {
		t.Error("it is not killed")
	}
	check.NoError(t, appending.Rollback(t.Context()))
	if err := <-removed; err == nil || !strings.Contains(err.Error(), "makes months of the trail") {
		t.Errorf("removed beside: %v", err)
	}
	late := trailtest.Entry(t, trailtest.Event(func(e *event.Event) { e.Time = soon.Add(2 * time.Hour) }))
	far := trailtest.Entry(t, trailtest.Event(func(e *event.Event) { e.Time = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) }))
	kept(t, k.store, []trail.Entry{late, far}, trail.Kept)
	if got := spread(t, k.owner); got != fmt.Sprintf("events_later %d", n+2) {
		t.Errorf("half way they are in %s", got)
	}
	made, err := postgres.ExtendMonths(t.Context(), k.owner, soon.AddDate(0, 1, 0), slog.New(slog.DiscardHandler)) // the clock went on
	month := "events_" + soon.Format("2006_01")
	if got := spread(t, k.owner); err != nil || made < 5 || got != fmt.Sprintf("%s %d, events_later 1", month, n+1) {
		t.Errorf("%d months are made, %v, and the events are in %s", made, err, got)
	}
	kept(t, k.store, []trail.Entry{late, far}, trail.Known)
	check.NoError(t, postgres.CheckAppendOnly(t.Context(), k.serving))
	var left int
	check.NoError(t, k.owner.QueryRow(t.Context(), `
		select count(*) from pg_class c left join pg_constraint o on o.conrelid = c.oid and o.conname = 'in_bounds'
		where c.relnamespace = 'audit'::regnamespace and (c.relname in ('events_staged', 'events_next') or o.oid is not null)`).Scan(&left))
	if left != 0 {
		t.Errorf("%d tables or checks are left", left)
	}
}

// What a killed run has left is no good when a migration has changed the trail since: it is begun
// anew. When the clock of that run was ahead, it is ended by runs for which it is too early.
func TestHeirsOfAKilledRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string // of the trail, meanwhile
		ahead  bool   // the clock of the run that was killed
	}{
		"a column more":   {"alter table audit.events add column late text", false},
		"a column fewer":  {"alter table audit.events drop column request_id cascade", false},
		"another type":    {"alter table audit.events alter column source type varchar(200)", false},
		"never null":      {"alter table audit.events alter column organization_id set not null", false},
		"a check":         {"alter table audit.events add constraint late check (position > 0)", false},
		"a clock ahead":   {"", true},
		"both":            {"alter table audit.events add column late text", true},
		"nothing changed": {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeeping(t)
			now, later := time.Now().UTC(), time.Now().UTC().AddDate(0, 4, 0)
			_, err := postgres.ExtendMonths(t.Context(), k.owner, now, slog.New(slog.DiscardHandler))
			check.NoError(t, err)
			const n = 6000 // two parts
			fillLater(t, k.owner, later, n)
			_, err = k.owner.Exec(t.Context(), "update audit.events set organization_id = $1", acme)
			check.NoError(t, err)
			for _, class := range trail.Classes() {
				k.retain(t, "", class, 30)
			}
			ctx, cancel := context.WithCancel(t.Context())
			if _, err := postgres.ExtendMonths(ctx, k.owner, later, slog.New(slog.NewTextHandler(stopper(cancel), nil))); err == nil {
				t.Error("it is not killed")
			}
			_, err = k.owner.Exec(t.Context(), c.change)
			check.NoError(t, err)
			if !c.ahead {
				now = later
			}
			_, err = k.upkeep.Keep(t.Context(), now)
			check.NoError(t, err)
			var left, events int
			check.NoError(t, k.owner.QueryRow(t.Context(), `select (select count(*) from pg_class where relname in ('events_staged', 'events_next')
				and relnamespace = 'audit'::regnamespace), (select count(*) from audit.events)`).Scan(&left, &events))
			if left != 0 || events != n {
				t.Errorf("%d tables are left, and %d events are there", left, events)
			}
		})
	}
}

// A try that does not get its locks has made no month.
func TestMonthsAreCountedOnce(t *testing.T) {
	t.Parallel()
	_, owner := pools(t)
	soon := time.Now().UTC().AddDate(0, 4, 0)
	fillLater(t, owner, soon, 6000)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := postgres.ExtendMonths(ctx, owner, soon, slog.New(slog.NewTextHandler(stopper(cancel), nil))); err == nil {
		t.Error("it is not killed")
	}
	reader, err := owner.Begin(t.Context())
	check.NoError(t, err)
	defer func() { _ = reader.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = reader.Exec(t.Context(), "lock table audit.events_staged in access share mode") // as pg_dump does
	check.NoError(t, err)
	tried, ended := make(chan struct{}, 100), make(chan error, 1)
	var made int
	go func() {
		var err error
		made, err = postgres.ExtendMonths(context.WithoutCancel(t.Context()), owner, soon, slog.New(told(tried)))
		ended <- err
	}()
	<-tried
	check.NoError(t, reader.Rollback(t.Context()))
	check.NoError(t, <-ended)
	var months int
	check.NoError(t, owner.QueryRow(t.Context(), "select count(*) - 2 from pg_inherits where inhparent = 'audit.events'::regclass").Scan(&months))
	if made != months {
		t.Errorf("%d months are said to be made, and %d are", made, months)
	}
}

// fillLater stores n events of one day in a partition.
func fillLater(t *testing.T, owner *pgxpool.Pool, day time.Time, n int) {
	t.Helper()
	_, err := owner.Exec(t.Context(), `
		insert into audit.events (position, id, time, source, action, outcome, actor_id, organization_id, object_type, object_id, request_id, canonical)
		select n, gen_random_uuid(), $1::timestamptz, 'identity', 'user.updated', 'success', 'actor', null, 'user', 'object', 'request', 'x'
		from generate_series(1, $2::bigint) n`, day, n)
	check.NoError(t, err)
}

// spread says how many events are in which partition.
func spread(t *testing.T, owner *pgxpool.Pool) (counts string) {
	t.Helper()
	check.NoError(t, owner.QueryRow(t.Context(), `
		select string_agg(partition || ' ' || n, ', ' order by partition)
		from (select tableoid::regclass::text as partition, count(*) as n from audit.events group by 1) e`).Scan(&counts))
	return strings.ReplaceAll(counts, "audit.", "")
}

// stopper is where a log goes whose first line stops who writes it.
type stopper func()

func (s stopper) Write(line []byte) (int, error) {
	s()
	return len(line), nil
}
