package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// R86: the lock that the trail once took is the whole database's. Whoever holds it holds up
// nothing.
func TestNobodyElsesLockHoldsTheTrailUp(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	conn, err := owner.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), fmt.Sprintf("select pg_advisory_lock(%d)", 0x6761746561)); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = conn.Exec(context.WithoutCancel(t.Context()), "select pg_advisory_unlock_all()") }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	verdicts, err := postgres.NewEvents(serving).Append(ctx, []trail.Entry{trailtest.Entry(t, trailtest.Event())})
	if err != nil || verdicts[0] != trail.Kept {
		t.Errorf("got %v, %v", verdicts, err)
	}
}

// R86: while the lock cannot be had, readiness says so, and appends say it instead of waiting for
// ever. Not so while the trail grows.
func TestReadinessSaysThatTheTrailStandsStill(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	store := postgres.NewEvents(serving)
	trailtest.Fill(t, store, 3)
	holder := lockTrail(t, owner)
	still := apierr.New(apierr.Unavailable, "TRAIL_STANDS_STILL", "")
	if err := store.CheckAppend(t.Context()); !errors.Is(err, still) {
		t.Errorf("got %v, want %v", err, still)
	}
	_, err := store.Append(t.Context(), []trail.Entry{trailtest.Entry(t, trailtest.Event())})
	if busy := apierr.New(apierr.Unavailable, "DATABASE_BUSY", ""); !errors.Is(err, busy) {
		t.Errorf("append: %v, want %v", err, busy)
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.CheckAppend(t.Context()); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}

// R86: two that look at once, as a probe and an operator do, both see that the trail grows while
// they wait.
func TestReadinessIsOfItsOwnWait(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	store := postgres.NewEvents(serving)
	store.Patient(5 * time.Second) // long enough for what happens while they wait
	trailtest.Fill(t, store, 3)
	if err := store.CheckAppend(t.Context()); err != nil {
		t.Fatal(err)
	}
	holder := lockTrail(t, owner)
	answers := make(chan error, 2)
	for range 2 {
		go func() { answers <- store.CheckAppend(t.Context()) }()
	}
	deadline := time.Now().Add(20 * time.Second)
	for waiting := 0; waiting < 2; {
		if time.Now().After(deadline) {
			t.Fatal("they do not wait")
		}
		err := holder.QueryRow(t.Context(), `
			select count(*) from pg_locks join pg_database on pg_database.oid = database and datname = current_database() -- copies of one template share oids
			where not granted and relation = 'audit.coordination'::regclass`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := owner.Exec(t.Context(), `
		insert into audit.events (position, id, time, source, action, outcome, actor_id, object_type, object_id, request_id, canonical)
		select position + 1, gen_random_uuid(), time, source, action, outcome, actor_id, object_type, object_id, request_id, canonical
		from audit.events order by position desc limit 1`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-answers; err != nil {
			t.Errorf("the trail has grown meanwhile: %v", err)
		}
	}
}

// R86: who does not know the channel wakes nobody, however often.
func TestForeignNotificationsWakeNobody(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	store := postgres.NewEvents(serving)
	ctx, cancel := context.WithCancel(t.Context())
	var wakes atomic.Int32
	woken, done := make(chan struct{}, 10_000), make(chan struct{})
	go func() {
		defer close(done)
		store.Listen(ctx, func() {
			wakes.Add(1)
			woken <- struct{}{}
		})
	}()
	defer func() {
		cancel()
		<-done
	}()
	<-woken // it listens
	for n := range 300 {
		if _, err := owner.Exec(t.Context(), fmt.Sprintf("notify audit_events, '%d'", n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Notify(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-woken // notifications arrive in their order
	if got := wakes.Load(); got != 2 {
		t.Errorf("woken %d times, want once at the start and once by its own", got)
	}
}

// lockTrail takes the lock that appends need, until the transaction or the test ends.
func lockTrail(t *testing.T, owner *pgxpool.Pool) pgx.Tx {
	t.Helper()
	holder, err := owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Rollback(context.Background()) })
	if _, err := holder.Exec(t.Context(), "lock table audit.coordination in exclusive mode"); err != nil {
		t.Fatal(err)
	}
	return holder
}
