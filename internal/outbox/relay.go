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
	connectLimit = 5 * time.Second
	// notifyPause is the least time between two notifications of a follower: under load one stands for many commits.
	notifyPause = 5 * time.Millisecond
)

// RelayParams is what a Relay is made of.
type RelayParams struct {
	Outbox   *Outbox
	Routes   []Route               // one for each topic that this service sends
	Registry prometheus.Registerer // nil measures nothing
}

// Relay delivers what the outbox holds. Every instance of a service runs one; the one that holds the lock works, the others wait.
type Relay struct {
	*Outbox
	routes  []Route
	metrics *metrics
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
	return &Relay{Outbox: p.Outbox, routes: p.Routes, metrics: m}, nil
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
		if !failing {
			r.Log.WarnContext(ctx, "the outbox relay lost its database connection and connects again", "error", err.Error())
		}
		failing = true
		pause(ctx, 250*time.Millisecond, nil)
	}
}

// session follows and leads on one connection until that breaks. The session lock lives and dies with it.
func (r *Relay) session(ctx context.Context) error {
	connecting, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	conn, err := pgx.ConnectConfig(connecting, r.Pool.Config().ConnConfig)
	if err != nil {
		return fmt.Errorf("connect the relay: %w", err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectLimit)
		defer cancel()
		_ = conn.Close(closing) // it breaks either way
	}()
	for {
		leads, err := r.tryLock(ctx, conn)
		if err != nil {
			return err
		}
		if leads {
			return r.lead(ctx, conn)
		}
		if err := r.follow(ctx, conn); err != nil {
			return err
		}
	}
}

func (r *Relay) tryLock(ctx context.Context, conn *pgx.Conn) (locked bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryLimit)
	defer cancel()
	err = conn.QueryRow(ctx, `select pg_try_advisory_lock(hashtextextended('gatehouse outbox ' || @schema, 0))`,
		pgx.StrictNamedArgs{"schema": r.Schema}).Scan(&locked)
	if err != nil {
		return false, fmt.Errorf("try the relay's lock: %w", err)
	}
	return locked, nil
}

// follow passes this instance's wakes on to the leader until it is time to try the lock again.
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
			if err := r.notify(ctx, conn); err != nil {
				return err
			}
			pause(ctx, notifyPause, nil)
		}
	}
}

// notify is never part of a transaction that writes: there it costs two thirds of the inserts a second.
func (r *Relay) notify(ctx context.Context, conn *pgx.Conn) error {
	if err := r.exec(ctx, conn, `select pg_notify(@channel, '')`, pgx.StrictNamedArgs{"channel": r.channel()}); err != nil {
		return fmt.Errorf("wake the leading relay: %w", err)
	}
	return nil
}

// exec bounds a statement on the relay's own connection: on one that only looks alive it would hold the relay for ever.
func (r *Relay) exec(ctx context.Context, conn *pgx.Conn, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, queryLimit)
	defer cancel()
	_, err := conn.Exec(ctx, sql, args...)
	return err
}

func (r *Relay) channel() string { return r.Schema + "_outbox" }

// lead delivers until the connection breaks or the context ends. Nothing of it outlives the call but deliveries that are under way, which
// receivers take for repeats. Such a delivery and the next leader's cannot turn an object's messages around: both begin with the oldest that
// is not known to have arrived and go on in order, so whichever brings a message first, the ones before it are there.
func (r *Relay) lead(ctx context.Context, conn *pgx.Conn) error {
	r.Log.InfoContext(ctx, "this instance delivers the outbox now", "schema", r.Schema)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer r.metrics.forget()
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
	return r.listen(ctx, conn, wake)
}

// listen wakes the pumps and notices when the connection, and with it the lock, is gone.
func (r *Relay) listen(ctx context.Context, conn *pgx.Conn, wake func()) error {
	if err := r.exec(ctx, conn, "listen "+pgx.Identifier{r.channel()}.Sanitize()); err != nil {
		return fmt.Errorf("listen for wakes: %w", err)
	}
	wake() // what was committed before listening began
	for {
		waiting, cancel := context.WithTimeout(ctx, poll)
		_, err := conn.WaitForNotification(waiting)
		silent := waiting.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			wake()
		case silent && !conn.IsClosed():
			if err := r.exec(ctx, conn, "-- alive"); err != nil {
				return fmt.Errorf("ask whether the relay's connection lives: %w", err)
			}
		default:
			return fmt.Errorf("wait for wakes: %w", err)
		}
	}
}

// housekeeping measures, and makes the events of refusals whose minute is over.
func (r *Relay) housekeeping(ctx context.Context) {
	failing := false
	for {
		err := errors.Join(r.measure(ctx), r.flush(ctx))
		if ctx.Err() != nil {
			return
		}
		logTurn(ctx, r.Log, &failing, err, "work", "outbox housekeeping")
		pause(ctx, 5*time.Second, nil)
	}
}

func (r *Relay) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, queryLimit)
	defer cancel()
	return r.FlushRefusals(ctx)
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
