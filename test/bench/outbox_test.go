package bench_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// BenchmarkOutbox is what the outbox costs and what its relay does, with durable commits: transactions a second of eight writers that
// insert one row, alone and, interleaved, with its event, while a relay hands the events over and removes them; and the rows a second
// of a relay that works off what gathered while it was away. The receiver takes everything at once.
func BenchmarkOutbox(b *testing.B) {
	const (
		writers = 8
		slice   = 2 * time.Second
		backlog = 20_000
	)
	o := newOutbox(b)
	ctx := event.NewContext(b.Context(), event.Event{
		Source: "things", Caller: "gateway", Action: "thing.created", Method: "gatehouse.things.v1.ThingService/CreateThing", Outcome: event.Success,
		Actor: event.Actor{Type: event.User, ID: uuid.NewString(), SessionID: uuid.NewString(), ClientID: "gatehouse"}, ObjectType: "thing",
		OrganizationID: uuid.NewString(), RequestID: uuid.NewString(), Changes: []event.Change{{Field: "thing.size", Value: json.RawMessage(`42`)}},
	})
	transactions := func(create func(context.Context, *outbox.Outbox) error) float64 {
		n, err := rate(ctx, writers, slice, func() error { return create(ctx, o) })
		check.NoError(b, err)
		return n
	}
	var alone, recorded, ratios, relayed []float64
	for b.Loop() {
		a := transactions(insert)
		relay := startRelay(b, o)
		r := transactions(insertRecorded)
		relay.empty(b)
		relay.stop()
		alone, recorded, ratios = append(alone, a), append(recorded, r), append(ratios, r/a)

		gather(ctx, b, o, backlog)
		took := timed(b, func() error {
			relay = startRelay(b, o)
			relay.empty(b)
			return nil
		})
		relay.stop()
		if n := relay.delivered.Load(); n != backlog {
			b.Fatalf("%d of %d events were delivered", n, backlog)
		}
		relayed = append(relayed, backlog/took)
	}
	b.ReportMetric(median(alone), "alone-tx/s")
	b.ReportMetric(median(recorded), "recorded-tx/s")
	b.ReportMetric(median(ratios), "recorded-ratio")
	b.ReportMetric(median(relayed), "relayed-rows/s")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

func newOutbox(b *testing.B) *outbox.Outbox {
	b.Helper()
	server, _ := pgtest.Server(b)
	url := freshDatabase(b, server, "things", "things", "things")
	_, err := connect(b, url).Exec(b.Context(), "set search_path to things; create table things.things (id uuid primary key, size int not null);"+outbox.DDL("things"))
	check.NoError(b, err)
	pool, err := pg.Open(b.Context(), pg.Config{URL: url, MaxConns: 10})
	check.NoError(b, err)
	b.Cleanup(pool.Close)
	o, err := outbox.New(outbox.Params{
		Pool: pool, Schema: "things", Source: "things", Now: time.Now, NewID: func() string { return uuid.Must(uuid.NewV7()).String() },
		Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
	check.NoError(b, err)
	return o
}

func insert(ctx context.Context, o *outbox.Outbox) error {
	return pg.InTx(ctx, o.Pool, func(tx pgx.Tx) error { return insertThing(ctx, tx, uuid.NewString()) })
}

func insertRecorded(ctx context.Context, o *outbox.Outbox) error {
	return o.InTx(ctx, func(tx pgx.Tx) error {
		id := uuid.NewString()
		return errors.Join(insertThing(ctx, tx, id), audit.Record(ctx, o, tx, thing(ctx, id)))
	})
}

// thing is the event of the request about a thing.
func thing(ctx context.Context, id string) event.Event {
	e := event.FromContext(ctx)
	e.ObjectID = id
	return e
}

func insertThing(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, "insert into things.things (id, size) values (@id, 42)", pgx.StrictNamedArgs{"id": id})
	return err
}

// gather appends n events while no relay runs.
func gather(ctx context.Context, b *testing.B, o *outbox.Outbox, n int) {
	b.Helper()
	for range n / 1000 {
		messages := make([]outbox.Message, 1000)
		for i := range messages {
			var err error
			messages[i], err = audit.Seal(o, thing(ctx, uuid.NewString()))
			check.NoError(b, err)
		}
		check.NoError(b, o.InTx(ctx, func(tx pgx.Tx) error { return o.Append(ctx, tx, messages...) }))
	}
}

// relay is one that runs.
type relay struct {
	outbox    *outbox.Outbox
	delivered atomic.Int64
	stop      func() // and wait until it has stopped
}

func startRelay(b *testing.B, o *outbox.Outbox) *relay {
	b.Helper()
	r := &relay{outbox: o}
	running, err := outbox.NewRelay(outbox.RelayParams{Outbox: o, Routes: []outbox.Route{{
		Topic: audit.Topic, Deliver: func(_ context.Context, batch []outbox.Message) ([]outbox.Poison, error) {
			r.delivered.Add(int64(len(batch)))
			return nil, nil
		},
	}}})
	check.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { running.Run(ctx) })
	r.stop = func() {
		cancel()
		wg.Wait()
	}
	b.Cleanup(r.stop)
	return r
}

// empty waits until nothing waits for the relay.
func (r *relay) empty(b *testing.B) {
	b.Helper()
	until(b, time.Minute, 2*time.Millisecond, func() error {
		var waits bool
		err := r.outbox.Pool.QueryRow(b.Context(), "select exists (select from things.outbox)").Scan(&waits)
		if err == nil && waits {
			err = errors.New("the outbox is not empty")
		}
		return err
	})
}
