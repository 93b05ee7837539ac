package outbox_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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

// The leader, and how to end its session.
const (
	leader = `from boxes.relay as r join pg_stat_activity as a on a.pid = r.pid and a.backend_start = r.session_start and r.lease_until > clock_timestamp()`
	holder = `select count(*) ` + leader
	depose = `select pg_terminate_backend(r.pid) ` + leader
)

// R67: a row whose transaction began early and commits late, after later rows are delivered and gone, is delivered too.
func TestLateCommitIsNotLost(t *testing.T) {
	pool, o := open(t)
	r := newReceiver()
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: r.deliver})
	late, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Append(t.Context(), late, messages("letters", "late")...); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		add(t, o, "letters", fmt.Sprint(i))
	}
	r.has(t, "49")
	emptied(t, pool)
	if slices.Contains(r.got(), "late") {
		t.Fatal("a row arrived before its commit")
	}
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.has(t, "late")
	emptied(t, pool)
}

// What commits below a batch while that is delivered is not removed with it.
func TestCommitDuringADeliveryIsNotLost(t *testing.T) {
	pool, o := open(t)
	late, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Append(t.Context(), late, messages("letters", "late")...); err != nil {
		t.Fatal(err)
	}
	r := newReceiver()
	var once sync.Once
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: func(ctx context.Context, batch []outbox.Message) ([]outbox.Poison, error) {
		once.Do(func() {
			if err := late.Commit(ctx); err != nil {
				t.Error(err)
			}
		})
		return r.deliver(ctx, batch)
	}})
	add(t, o, "letters", "early")
	r.has(t, "early", "late")
	emptied(t, pool)
}

// Eight writers of a few objects, whose transactions overlap: each object's messages arrive in the order of its revisions.
func TestOrderPerObject(t *testing.T) {
	pool, o := open(t)
	r := newReceiver()
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: r.deliver})
	const objects, writers, each = 5, 8, 40
	if _, err := pool.Exec(t.Context(), `insert into boxes.things (id, revision) select 'thing-' || n, 0 from generate_series(0, 4) as n`); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				id := fmt.Sprintf("thing-%d", rand.IntN(objects))
				err := o.InTx(t.Context(), func(tx pgx.Tx) error {
					var revision int64
					err := tx.QueryRow(t.Context(), `update boxes.things set revision = revision + 1 where id = @id returning revision`,
						pgx.StrictNamedArgs{"id": id}).Scan(&revision)
					if err != nil {
						return err
					}
					return o.Append(t.Context(), tx, messages("letters", fmt.Sprintf("%s %06d", id, revision))...)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	r.until(t, "all arrived", func() bool { return len(r.keys) == writers*each })
	last := map[string]string{}
	for _, key := range r.got() {
		id, revision, _ := strings.Cut(key, " ")
		if revision <= last[id] {
			t.Errorf("%s arrived after %s", key, last[id])
		}
		last[id] = revision
	}
}

// Any instance takes over: kill the leader's connection, then stop the leader.
func TestTakeover(t *testing.T) {
	conf := pgtest.Config(t, schema, migrations())
	instance := func() (*pgxpool.Pool, *outbox.Outbox) {
		pool := pgtest.Open(t, conf)
		return pool, outboxtest.New(t, pool, schema)
	}
	pool, first := instance()
	_, second := instance()
	r := newReceiver()
	route := outbox.Route{Topic: "letters", Deliver: r.deliver}
	stopFirst := run(t, first, nil, route)
	pgtest.EventuallyCounts(t, pool, "leaders", holder, 1)
	stopSecond := run(t, second, nil, route)
	add(t, second, "letters", "before")
	r.has(t, "before")

	if _, err := pool.Exec(t.Context(), depose); err != nil {
		t.Fatal(err)
	}
	add(t, first, "letters", "after the kill")
	r.has(t, "after the kill")
	pgtest.EventuallyCounts(t, pool, "leaders", holder, 1)

	stopFirst()
	add(t, first, "letters", "after the first stopped")
	r.has(t, "after the first stopped")
	stopSecond()
	pgtest.EventuallyCounts(t, pool, "leaders", holder, 0)
}

// A commit in an instance that does not lead wakes the one that does, well before the poll.
func TestFollowerWakesTheLeader(t *testing.T) {
	conf := pgtest.Config(t, schema, migrations())
	pools := make([]*pgxpool.Pool, 2)
	outboxes := make([]*outbox.Outbox, 2)
	for i := range pools {
		pool := pgtest.Open(t, conf)
		pools[i], outboxes[i] = pool, outboxtest.New(t, pool, schema)
	}
	r := newReceiver()
	route := outbox.Route{Topic: "letters", Deliver: r.deliver}
	run(t, outboxes[0], nil, route)
	pgtest.EventuallyCounts(t, pools[0], "leaders", holder, 1)
	run(t, outboxes[1], nil, outbox.Route{Topic: "letters", Deliver: func(context.Context, []outbox.Message) ([]outbox.Poison, error) {
		t.Error("the follower delivers")
		return nil, errDown
	}})
	fastest := time.Hour
	for i := range 5 {
		began := time.Now()
		add(t, outboxes[1], "letters", fmt.Sprint(i))
		r.has(t, fmt.Sprint(i))
		if i > 0 {
			fastest = min(fastest, time.Since(began))
		}
		emptied(t, pools[0]) // the relay waits now
	}
	if fastest > time.Second { // by the poll alone it is 2 s for each
		t.Errorf("the fastest took %s: only the poll delivers", fastest)
	}
}

// R67: ten times every connection is killed while four writers commit; what was acknowledged arrives, what was not, may.
func TestConnectionKillsLoseNothing(t *testing.T) {
	conf := pgtest.Config(t, schema, migrations())
	pool := pgtest.Open(t, conf)
	killer := pgtest.Open(t, conf)
	o := outboxtest.New(t, pool, schema)
	r := newReceiver()
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: r.deliver})
	var mu sync.Mutex
	var acknowledged []string
	var wg sync.WaitGroup
	progress := make(chan struct{}, 1000)
	for w := range 4 {
		wg.Go(func() {
			for i := range 100 {
				key := fmt.Sprintf("%d-%d", w, i)
				if tryAdd(t.Context(), o, "letters", key) == nil {
					mu.Lock()
					acknowledged = append(acknowledged, key)
					mu.Unlock()
				}
				progress <- struct{}{}
			}
		})
	}
	for range 10 {
		for range 40 {
			<-progress
		}
		_, err := killer.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()`)
		if err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if len(acknowledged) < 200 || len(acknowledged) == 400 {
		t.Logf("%d of 400 were acknowledged", len(acknowledged))
	}
	r.has(t, acknowledged...)
	emptied(t, killer)
}

// A message that its receiver will never accept is parked with the reason; those around it arrive.
func TestPoisonIsParked(t *testing.T) {
	pool, o := open(t)
	r := newReceiver()
	r.poison["bad"] = "SIZE: much too large"
	registry := prometheus.NewRegistry()
	stop := run(t, o, registry, outbox.Route{Topic: "letters", Deliver: r.deliver})
	add(t, o, "letters", "one", "bad", "two")
	r.has(t, "one", "two")
	pgtest.EventuallyCounts(t, pool, "rows", `select count(*) from boxes.outbox`, 1)
	pgtest.EventuallyCounts(t, pool, "parked rows", `select count(*) from boxes.outbox
		where key = 'bad' and park_time is not null and park_reason = 'SIZE: much too large'`, 1)
	add(t, o, "letters", "three")
	r.has(t, "three")
	emptied(t, pool)
	r.mu.Lock()
	delete(r.poison, "bad")
	r.mu.Unlock()
	if n := values(t, registry, "gatehouse_outbox_poison_total"); !slices.Equal(n, []float64{1}) {
		t.Errorf("poison counted: %v, want 1", n)
	}
	if _, err := pool.Exec(t.Context(), `update boxes.outbox set park_time = null`); err != nil {
		t.Fatal(err)
	}
	o.Wake()
	r.has(t, "bad")
	emptied(t, pool)
	stop()
}

// A receiver that refuses a batch as a whole gets smaller ones, until the one message is found.
func TestRefusedBatchIsHalved(t *testing.T) {
	pool, o := open(t)
	r := newReceiver()
	deliver := func(ctx context.Context, batch []outbox.Message) ([]outbox.Poison, error) {
		if slices.ContainsFunc(batch, func(m outbox.Message) bool { return m.Key == "17" }) {
			return nil, fmt.Errorf("the batch of %d: %w", len(batch), outbox.ErrRefused)
		}
		return r.deliver(ctx, batch)
	}
	keys := make([]string, 40)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	add(t, o, "letters", keys...)
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: deliver})
	r.has(t, slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k == "17" })...)
	pgtest.EventuallyCounts(t, pool, "parked rows", `select count(*) from boxes.outbox where key = '17' and park_time is not null`, 1)
	emptied(t, pool)
}

// A receiver that takes a few in its time, but not a whole batch, gets fewer: the same batch again and again would never end.
func TestFailedBatchIsHalved(t *testing.T) {
	pool, o := open(t)
	r := newReceiver()
	var mu sync.Mutex
	most := 0
	deliver := func(ctx context.Context, batch []outbox.Message) ([]outbox.Poison, error) {
		if len(batch) > 10 {
			return nil, errDown
		}
		mu.Lock()
		most = max(most, len(batch))
		mu.Unlock()
		return r.deliver(ctx, batch)
	}
	keys := make([]string, 40)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	add(t, o, "letters", keys...)
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: deliver})
	r.has(t, keys...)
	emptied(t, pool)
	if !slices.Equal(r.got(), keys) || most != 10 {
		t.Errorf("at most %d at a time, in the order %q", most, r.got())
	}
}

// A relay that lost its lock while a delivery was under way removes what that delivered, and nothing else: what is committed meanwhile below
// it, and what the next leader finds after it, is still delivered, each object's in order.
func TestDeposedLeaderRemovesOnlyWhatItDelivered(t *testing.T) {
	conf := pgtest.Config(t, schema, migrations())
	instance := func() (*pgxpool.Pool, *outbox.Outbox) {
		pool := pgtest.Open(t, conf)
		return pool, outboxtest.New(t, pool, schema)
	}
	pool, first := instance()
	_, second := instance()
	r := newReceiver()
	gated := func(reached chan<- int, open <-chan struct{}) outbox.Deliver {
		return func(_ context.Context, batch []outbox.Message) ([]outbox.Poison, error) { // a delivery that cannot be recalled
			reached <- len(batch)
			<-open
			return r.deliver(context.Background(), batch)
		}
	}
	late, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Append(t.Context(), late, messages("letters", "late")...); err != nil {
		t.Fatal(err)
	}
	add(t, first, "letters", "a1", "a2")
	firstReached, firstOpen := make(chan int, 10), make(chan struct{})
	run(t, first, nil, outbox.Route{Topic: "letters", Deliver: gated(firstReached, firstOpen)})
	openFirst := sync.OnceFunc(func() { close(firstOpen) })
	t.Cleanup(openFirst)
	if n := <-firstReached; n != 2 {
		t.Fatalf("the first delivers %d", n)
	}
	secondReached, secondOpen := make(chan int, 10), make(chan struct{})
	run(t, second, nil, outbox.Route{Topic: "letters", Deliver: gated(secondReached, secondOpen)})
	openSecond := sync.OnceFunc(func() { close(secondOpen) })
	t.Cleanup(openSecond)
	add(t, second, "letters", "a3")
	if _, err := pool.Exec(t.Context(), depose); err != nil {
		t.Fatal(err)
	}
	if n := <-secondReached; n != 3 {
		t.Fatalf("the second delivers %d", n)
	}
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	openFirst()
	r.has(t, "a1", "a2")
	pgtest.EventuallyCounts(t, pool, "rows after the first has settled", `select count(*) from boxes.outbox`, 2)
	openSecond()
	r.has(t, "a3", "late")
	emptied(t, pool)
	if got := r.got(); !slices.Equal(slices.DeleteFunc(got, func(k string) bool { return k == "late" }), []string{"a1", "a2", "a3"}) {
		t.Errorf("they arrived as %q", got)
	}
}

// A topic whose receiver is down holds up no other, and is delivered when it is back.
func TestTopicsAreDeliveredByThemselves(t *testing.T) {
	pool, o := open(t)
	letters, parcels := newReceiver(), newReceiver()
	letters.setDown(true)
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: letters.deliver}, outbox.Route{Topic: "parcels", Deliver: parcels.deliver})
	add(t, o, "letters", "a", "b")
	letters.until(t, "a delivery was tried", func() bool { return len(letters.sizes) > 1 })
	add(t, o, "parcels", "c")
	parcels.has(t, "c")
	if got := letters.got(); len(got) > 0 {
		t.Fatalf("%q arrived at a receiver that is down", got)
	}
	letters.setDown(false)
	letters.has(t, "a", "b")
	emptied(t, pool)
	if parcels.got()[0] != "c" || len(parcels.got()) != 1 || len(letters.got()) != 2 {
		t.Errorf("letters %q, parcels %q: topics are mixed", letters.got(), parcels.got())
	}
}

func TestBatchesAreBounded(t *testing.T) {
	pool, o := open(t)
	r := newReceiver()
	var large, small []outbox.Message
	for i := range 6 {
		m := messages("letters", fmt.Sprintf("large-%d", i))[0]
		m.Payload = make([]byte, 900<<10)
		large = append(large, m)
	}
	for i := range 1200 {
		small = append(small, messages("letters", fmt.Sprintf("small-%d", i))...)
	}
	giant := messages("letters", "giant")[0]
	giant.Payload = make([]byte, 3<<20)
	all := slices.Concat(large, []outbox.Message{giant}, small)
	if err := o.InTx(t.Context(), func(tx pgx.Tx) error { return o.Append(t.Context(), tx, all...) }); err != nil {
		t.Fatal(err)
	}
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: r.deliver})
	r.has(t, "small-1199")
	emptied(t, pool)
	want := []int{2, 2, 2, 1, 500, 500, 200}
	if !slices.Equal(r.sizes, want) {
		t.Errorf("batches of %v, want %v: 2 MiB or 500 messages, and one that is larger alone", r.sizes, want)
	}
}

func TestMetrics(t *testing.T) {
	pool, o := open(t)
	r := newReceiver()
	r.setDown(true)
	add(t, o, "letters", "a", "b")
	if _, err := pool.Exec(t.Context(), `update boxes.outbox set create_time = now() - interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	stop := run(t, o, registry, outbox.Route{Topic: "letters", Deliver: r.deliver})
	r.until(t, "deliveries were tried", func() bool { return len(r.sizes) > 2 && len(values(t, registry, "gatehouse_outbox_pending")) > 0 })
	lag, pending := values(t, registry, "gatehouse_outbox_lag_seconds"), values(t, registry, "gatehouse_outbox_pending")
	if len(lag) != 1 || lag[0] < 3600 || lag[0] > 3700 || !slices.Equal(pending, []float64{2}) {
		t.Errorf("lag %v s and %v pending, want an hour and 2", lag, pending)
	}
	r.setDown(false)
	r.has(t, "a", "b")
	emptied(t, pool)
	if n := values(t, registry, "gatehouse_outbox_delivered_total"); !slices.Equal(n, []float64{2}) {
		t.Errorf("%v delivered, want 2", n)
	}
	stop()
	for _, name := range []string{"gatehouse_outbox_lag_seconds", "gatehouse_outbox_pending", "gatehouse_outbox_parked"} {
		if n := values(t, registry, name); len(n) > 0 {
			t.Errorf("an instance that does not lead shows %s %v", name, n)
		}
	}
}

// values of a metric, one for each topic.
func values(t *testing.T, registry *prometheus.Registry, name string) (found []float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			found = append(found, m.GetGauge().GetValue()+m.GetCounter().GetValue())
		}
	}
	return found
}

func TestRelayRefusesTwoRoutesOfATopic(t *testing.T) {
	_, o := open(t)
	r := newReceiver()
	route := outbox.Route{Topic: "letters", Deliver: r.deliver}
	if _, err := outbox.NewRelay(outbox.RelayParams{Outbox: o, Routes: []outbox.Route{route, route}}); err == nil {
		t.Error("two routes of one topic were accepted")
	}
}
