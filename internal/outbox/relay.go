package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	poll         = 2 * time.Second // the net below every wake, and how often a follower tries to lead
	queryLimit   = 10 * time.Second
	leaseLimit   = 5 * time.Second // of a statement on the relay's own connection; with poll it is below the lease
	connectLimit = 5 * time.Second
	// notifyPause is the least time between two notifications of a follower: under load one stands for many commits.
	notifyPause = 5 * time.Millisecond
)

// RelayParams is what a Relay is made of.
type RelayParams struct {
	Outbox   *Outbox
	Routes   []Route               // one for each topic that this service sends
	Registry prometheus.Registerer // nil measures nothing
	// Housekeeping is done every few seconds, by every instance; nil does nothing.
	Housekeeping func(context.Context) error
}

// Relay delivers what the outbox holds. Every instance of a service runs one; the one that has the
// lease works, the others wait.
type Relay struct {
	*Outbox
	routes   []Route
	keep     func(context.Context) error
	metrics  *metrics
	standing standing
	mute     bool // as a follower: the leader could not be woken
}

// NewRelay makes a relay; it does not connect.
func NewRelay(p RelayParams) (*Relay, error) {
	seen := map[string]bool{}
	for _, r := range p.Routes {
		switch {
		case r.Topic == "" || r.Deliver == nil:
			return nil, fmt.Errorf("make relay: the route of topic %q has no topic or no Deliver", r.Topic)
		case seen[r.Topic]:
			return nil, fmt.Errorf("make relay: the topic %s has two routes: keep one", r.Topic)
		}
		seen[r.Topic] = true
	}
	m, err := newMetrics(p.Registry)
	if err != nil {
		return nil, err
	}
	if p.Housekeeping == nil {
		p.Housekeeping = func(context.Context) error { return nil }
	}
	return &Relay{Outbox: p.Outbox, routes: p.Routes, keep: p.Housekeeping, metrics: m}, nil
}

// Run works until the context ends.
func (r *Relay) Run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		began := r.Now()
		err := r.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if r.Now().Sub(began) > time.Minute {
			failing = false // that one worked for a while
		}
		r.standing.note(leaseWork, err)
		if !failing {
			r.Log.WarnContext(ctx, "the outbox relay lost its database connection and connects again", "error", err.Error())
		}
		failing = true
		pause(ctx, 250*time.Millisecond, nil)
	}
}

// session follows and leads on one connection until that breaks. The lease lives and dies with it.
func (r *Relay) session(ctx context.Context) error {
	conn, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectLimit)
		defer cancel()
		_ = conn.Close(closing) // it breaks either way
	}()
	for {
		channel, leads, err := r.acquire(ctx, conn)
		if err != nil {
			return err
		}
		r.standing.note(leaseWork, nil)
		if leads {
			err = r.lead(ctx, conn, channel)
		} else {
			err = r.follow(ctx, conn)
		}
		if err != nil && !errors.Is(err, errDeposed) {
			return err
		}
	}
}

func (r *Relay) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	pool := r.Pool.Config()
	config := pool.ConnConfig
	config.RuntimeParams["synchronous_commit"] = "off" // a crash of the server may forget a lease, which dies with its session anyway
	if pool.BeforeConnect != nil {
		if err := pool.BeforeConnect(ctx, config); err != nil {
			return nil, fmt.Errorf("connect the relay: %w", err)
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect the relay: %w", err)
	}
	return conn, nil
}

// follow passes this instance's wakes on to the leader until it is time to try to lead again.
func (r *Relay) follow(ctx context.Context, conn *pgx.Conn) error {
	again := time.NewTimer(poll)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
			return nil
		case <-r.wake:
			err := r.notify(ctx, conn)
			if err != nil && conn.IsClosed() {
				return err
			}
			logTurn(ctx, r.Log, &r.mute, err, "work", "wake the leading relay") // which looks by itself, too
			pause(ctx, notifyPause, nil)
		}
	}
}

// notify is never part of a transaction that writes: there it costs two thirds of the inserts a
// second. A server whose queue another role has filled refuses it.
func (r *Relay) notify(ctx context.Context, conn *pgx.Conn) error {
	if err := r.exec(ctx, conn, r.sql.notify); err != nil {
		return fmt.Errorf("wake the leading relay: %w", err)
	}
	return nil
}

// exec bounds a statement on the relay's own connection: on one that only looks alive it would hold the relay for ever.
func (r *Relay) exec(ctx context.Context, conn *pgx.Conn, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, leaseLimit)
	defer cancel()
	_, err := conn.Exec(ctx, sql, args...)
	return err
}

// lead delivers until the connection breaks, the lease is lost or the context ends. Nothing of it
// outlives the call but deliveries that are under way, which receivers take for repeats.
//
// Two relays at once, such as one that was stopped for longer than its lease and its successor,
// cannot turn an object's messages around: each begins with the oldest that is not known to have
// arrived, goes on in order and removes exactly what it delivered. So whichever brings a message
// first, the ones before it are there.
func (r *Relay) lead(ctx context.Context, conn *pgx.Conn, channel string) error {
	r.Log.InfoContext(ctx, "this instance delivers the outbox now", "schema", r.Schema)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer r.metrics.forget()
	defer r.standing.forget()
	defer wg.Wait()
	defer cancel()
	wakes := make([]chan struct{}, len(r.routes))
	for i, route := range r.routes {
		wakes[i] = make(chan struct{}, 1)
		wg.Go(func() { r.pump(ctx, route, wakes[i]) })
	}
	wake := func() {
		for _, w := range wakes {
			select {
			case w <- struct{}{}:
			default:
			}
		}
	}
	wg.Go(func() { r.housekeeping(ctx) })
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
				wake()
			}
		}
	})
	return r.listen(ctx, conn, channel, wake)
}

// listen wakes the pumps, renews the lease, and notices when that or the connection is gone.
func (r *Relay) listen(ctx context.Context, conn *pgx.Conn, channel string, wake func()) error {
	if err := r.exec(ctx, conn, "listen "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return fmt.Errorf("listen for wakes: %w", err)
	}
	wake() // what was committed before listening began
	for {
		if err := r.hear(ctx, conn, wake); err != nil {
			return err
		}
		err := r.renew(ctx, conn)
		if errors.Is(err, errDeposed) {
			r.Log.WarnContext(ctx, "another instance delivers the outbox: this one was stopped for longer than its lease", "schema", r.Schema)
			return errors.Join(err, r.exec(ctx, conn, "unlisten *"))
		}
		if err != nil {
			return err
		}
	}
}

// hear wakes for each notification until it is time to renew the lease.
func (r *Relay) hear(ctx context.Context, conn *pgx.Conn, wake func()) error {
	waiting, cancel := context.WithTimeout(ctx, poll)
	defer cancel()
	for {
		_, err := conn.WaitForNotification(waiting)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			wake()
		case waiting.Err() != nil && !conn.IsClosed():
			return nil
		default:
			return fmt.Errorf("wait for wakes: %w", err)
		}
	}
}

// housekeeping measures, and does what else is to be done again and again.
func (r *Relay) housekeeping(ctx context.Context) {
	failing := false
	for {
		err := errors.Join(r.measure(ctx), r.keepHouse(ctx))
		if ctx.Err() != nil {
			return
		}
		logTurn(ctx, r.Log, &failing, err, "work", "outbox housekeeping")
		pause(ctx, 5*time.Second, nil)
	}
}

func (r *Relay) keepHouse(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, queryLimit)
	defer cancel()
	return r.keep(ctx)
}

// logTurn says when work begins to fail and when it succeeds again, not at each turn.
func logTurn(ctx context.Context, log *slog.Logger, failing *bool, err error, args ...any) {
	switch {
	case err != nil && !*failing:
		log.WarnContext(ctx, "the outbox relay fails and tries again", append(args, "error", err.Error())...)
	case err == nil && *failing:
		log.InfoContext(ctx, "the outbox relay succeeds again", args...)
	}
	*failing = err != nil
}

// pause waits for the time, the wake or the end of the context.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-wake:
	}
}
