package outbox_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

var errDown = errors.New("the receiver is down")

// receiver is the other program: it keeps what arrives, once by id, in the order of the first arrival.
type receiver struct {
	mu      sync.Mutex
	known   map[string]bool
	keys    []string
	sizes   []int
	down    bool
	poison  map[string]string // reason by key
	changed chan struct{}
}

func newReceiver() *receiver {
	return &receiver{known: map[string]bool{}, poison: map[string]string{}, changed: make(chan struct{})}
}

func (r *receiver) deliver(_ context.Context, batch []outbox.Message) ([]outbox.Poison, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() {
		close(r.changed)
		r.changed = make(chan struct{})
	}()
	r.sizes = append(r.sizes, len(batch))
	if r.down {
		return nil, errDown
	}
	var poison []outbox.Poison
	for _, m := range batch {
		if reason, ok := r.poison[m.Key]; ok {
			poison = append(poison, outbox.Poison{ID: m.ID, Reason: reason})
			continue
		}
		if !r.known[m.ID] {
			r.known[m.ID] = true
			r.keys = append(r.keys, m.Key)
		}
	}
	return poison, nil
}

func (r *receiver) setDown(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.keys)
}

// until waits for a state of the receiver, which is locked while ok looks at it.
func (r *receiver) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		r.mu.Lock()
		reached, changed := ok(), r.changed
		r.mu.Unlock()
		if reached {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("after 30 s still not: %s; there are %d: %.300q", what, len(r.got()), r.got())
		}
	}
}

// has waits until all these keys have arrived.
func (r *receiver) has(t testing.TB, keys ...string) {
	t.Helper()
	r.until(t, "the keys have arrived", func() bool {
		return !slices.ContainsFunc(keys, func(k string) bool { return !slices.Contains(r.keys, k) })
	})
}

// run starts a relay; stop ends it and waits, and runs at the latest when the test ends.
func run(t testing.TB, o *outbox.Outbox, registry prometheus.Registerer, routes ...outbox.Route) (stop func()) {
	t.Helper()
	relay, err := outbox.NewRelay(outbox.RelayParams{Outbox: o, Routes: routes, Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() { relay.Run(ctx) })
	stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func add(t testing.TB, o *outbox.Outbox, topic string, keys ...string) {
	t.Helper()
	if err := tryAdd(t.Context(), o, topic, keys...); err != nil {
		t.Fatal(err)
	}
}

func tryAdd(ctx context.Context, o *outbox.Outbox, topic string, keys ...string) error {
	return o.InTx(ctx, func(tx pgx.Tx) error { return o.Append(ctx, tx, messages(topic, keys...)...) })
}

func messages(topic string, keys ...string) []outbox.Message {
	all := make([]outbox.Message, len(keys))
	for i, key := range keys {
		all[i] = outbox.Message{ID: outboxtest.NewID(), Topic: topic, Key: key, Payload: []byte(key)}
	}
	return all
}

func emptied(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	pgtest.EventuallyCounts(t, pool, "rows that wait", `select count(*) from boxes.outbox where park_time is null`, 0)
}
