package outbox_test

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
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// session is a connection of its own, which goes with the test.
func session(t *testing.T, pool *pgxpool.Pool, statements ...string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig)
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

func relayOf(t *testing.T, o *outbox.Outbox, routes ...outbox.Route) *outbox.Relay {
	t.Helper()
	relay, err := outbox.NewRelay(outbox.RelayParams{Outbox: o, Routes: routes})
	if err != nil {
		t.Fatal(err)
	}
	return relay
}

// R86: the lock under which relays once led is the whole database's. Whoever holds it holds no
// relay up.
func TestNobodyElsesLockHoldsARelayUp(t *testing.T) {
	pool, o := open(t)
	session(t, pool, `select pg_advisory_lock(hashtextextended('gatehouse outbox boxes', 0))`)
	r := newReceiver()
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: r.deliver})
	add(t, o, "letters", "a")
	r.has(t, "a")
}

// A leader that is stopped, and whose session therefore lives on, loses its lease: the next one
// leads, and the first delivers no more when it goes on.
func TestAStoppedLeaderIsDeposed(t *testing.T) {
	pool, o := open(t)
	session(t, pool, `update boxes.relay set pid = a.pid, session_start = a.backend_start, lease_until = clock_timestamp() + interval '1 second'
		from pg_stat_activity as a where a.pid = pg_backend_pid()`)
	r := newReceiver()
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: r.deliver})
	add(t, o, "letters", "a")
	r.has(t, "a")
	pgtest.EventuallyCounts(t, pool, "leaders", holder, 1)

	session(t, pool, `update boxes.relay set pid = a.pid, session_start = a.backend_start, lease_until = clock_timestamp() + interval '1 hour'
		from pg_stat_activity as a where a.pid = pg_backend_pid()`) // somebody else has taken it over
	pgtest.EventuallyCounts(t, pool, "followers", `select count(*) from pg_stat_activity
		where datname = current_database() and query like '%lease_until%returning r.channel%' and pid <> pg_backend_pid()`, 1)
	add(t, o, "letters", "b")
	if _, err := pool.Exec(t.Context(), depose); err != nil {
		t.Fatal(err)
	}
	r.has(t, "b") // once it leads again
}

// R86: a relay that can neither lead nor see that another one does says so, and only as long as
// that is so.
func TestReadinessSaysThatTheOutboxStandsStill(t *testing.T) {
	pool, o := open(t)
	r := newReceiver()
	relay := relayOf(t, o, outbox.Route{Topic: "letters", Deliver: r.deliver})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		relay.Run(ctx)
	}()
	defer func() {
		cancel()
		<-done
	}()
	pgtest.EventuallyCounts(t, pool, "leaders", holder, 1)
	blocker := session(t, pool, "begin", "select from boxes.relay for update")
	still := apierr.New(apierr.Unavailable, "OUTBOX_STANDS_STILL", "")
	ready := func(want bool, within time.Duration) {
		t.Helper()
		began := time.Now()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			err := relay.Ready(ctx)
			if err != nil && !errors.Is(err, still) {
				t.Fatal(err)
			}
			if (err == nil) == want {
				return
			}
			if time.Since(began) > within {
				t.Fatalf("after %s: %v", within, err)
			}
			<-tick.C
		}
	}
	ready(false, 30*time.Second)
	if _, err := blocker.Exec(ctx, "rollback"); err != nil {
		t.Fatal(err)
	}
	ready(true, 30*time.Second)
	add(t, o, "letters", "a")
	r.has(t, "a")
}

// reads counts how often a relay looks for messages.
type reads struct{ n atomic.Int64 }

// TraceQueryStart implements pgx.QueryTracer.
func (*reads) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*reads) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements pgx.BatchTracer: a relay reads in batches.
func (r *reads) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	r.n.Add(1)
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (*reads) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (*reads) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// R86: who does not know the channel wakes no relay, however often.
func TestForeignNotificationsWakeNoRelay(t *testing.T) {
	count := &reads{}
	pool, err := pg.OpenTuned(t.Context(), pgtest.Config(t, schema, migrations()), func(c *pgxpool.Config) { c.ConnConfig.Tracer = count })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	o := outboxtest.New(t, pool, schema)
	r := newReceiver()
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: r.deliver})
	add(t, o, "letters", "a")
	r.has(t, "a")
	emptied(t, pool)
	flood := session(t, pool)
	before, began, rounds := count.n.Load(), time.Now(), int64(2000)
	for n := range rounds {
		if _, err := flood.Exec(t.Context(), fmt.Sprintf("notify boxes_outbox, '%d'", n)); err != nil {
			t.Fatal(err)
		}
	}
	polls := int64(time.Since(began)/time.Second) + 10
	if more := count.n.Load() - before; more > polls {
		t.Errorf("the relay looked %d times during a flood of %d notifications, want at most %d", more, rounds, polls)
	}
	add(t, o, "letters", "b")
	r.has(t, "b")
}
