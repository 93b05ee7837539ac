package relationship

import (
	"context"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Bounds of waiting for an event.
const (
	maxWait    = 10 * time.Second       // without a deadline of the request
	minMargin  = 50 * time.Millisecond  // kept of the deadline, so that the response still arrives
	maxMargin  = 500 * time.Millisecond // at most, a tenth of what is left otherwise
	watchBatch = 1000                   // events looked up at a time
	maxWaiters = 10_000                 // of an instance: tokens that name nothing must not fill it
)

// Fresh returns nil when reads reflect the write that the token names; an empty token names none.
// The write that a token of an event names is on its way: Fresh waits for it until shortly before
// the deadline of ctx. Then, and for a token of another database, the error is UNAVAILABLE
// "NOT_FRESH_ENOUGH": no older response is given.
func (s *Service) Fresh(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	t, err := request.ParseToken(token)
	if err != nil {
		return err
	}
	if p, ok := t.Position(); ok {
		return s.engine.Reached(ctx, p)
	}
	id, _ := t.EventID()
	return s.waiters.wait(ctx, id)
}

// Watch looks for the events that requests wait for, until ctx ends.
func (s *Service) Watch(ctx context.Context) { s.waiters.run(ctx) }

func notFresh() error {
	return apierr.NotFreshEnough().
		WithRetryAfter(time.Second)
}

// waiters are those who wait for commands to end. All waits of an instance are served by one query
// at a time.
type waiters struct {
	store Store
	now   func() time.Time
	work  chan struct{} // there is somebody who waits
	most  int           // who may wait at a time

	mu      sync.Mutex
	changed chan struct{}           // closed and replaced when a command of this instance ends
	waiting map[string]*expectation // by command
	total   int
}

type expectation struct {
	done    chan struct{}
	state   State // valid once done is closed
	waiters int
}

func newWaiters(store Store, now func() time.Time) *waiters {
	return &waiters{
		store: store, now: now, work: make(chan struct{}, 1), most: maxWaiters,
		changed: make(chan struct{}), waiting: map[string]*expectation{},
	}
}

// changes returns a channel that is closed when the next command of this instance ends.
func (w *waiters) changes() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// settle says that a command has ended.
func (w *waiters) settle(id string, state State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
	w.resolve(id, state)
}

func (w *waiters) resolve(id string, state State) {
	if e, ok := w.waiting[id]; ok {
		e.state = state
		close(e.done)
		delete(w.waiting, id)
	}
}

func (w *waiters) wait(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, w.patience(ctx))
	defer cancel()
	e := w.expect(id)
	if e != nil {
		defer w.leave(id, e)
	}
	// Asked after joining, so that an end in between is not missed.
	states, err := w.store.States(ctx, []string{id})
	switch {
	case ctx.Err() != nil:
		return notFresh()
	case err != nil:
		return err
	case states[id] == Applied:
		return nil
	case states[id] == Refused:
		return notFresh() // for ever: a read can never reflect it
	case e == nil:
		return notFresh()
	}
	select {
	case w.work <- struct{}{}:
	default:
	}
	select {
	case <-e.done:
		if e.state == Applied {
			return nil
		}
		return notFresh()
	case <-ctx.Done():
		return notFresh()
	}
}

// patience is how long a request may wait and still be answered.
func (w *waiters) patience(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return maxWait
	}
	left := deadline.Sub(w.now())
	return left - min(max(left/10, minMargin), maxMargin)
}

// expect joins those who wait for a command; nil when too many wait already.
func (w *waiters) expect(id string) *expectation {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.total >= w.most {
		return nil
	}
	w.total++
	e, ok := w.waiting[id]
	if !ok {
		e = &expectation{done: make(chan struct{})}
		w.waiting[id] = e
	}
	e.waiters++
	return e
}

func (w *waiters) leave(id string, e *expectation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.total--
	if e.waiters--; e.waiters == 0 && w.waiting[id] == e {
		delete(w.waiting, id)
	}
}

func (w *waiters) run(ctx context.Context) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.work:
		}
		for ids := w.expected(); len(ids) > 0; ids = w.expected() {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			w.look(ctx, ids)
		}
	}
}

// expected returns some of what is waited for; which ones is random, so that all have their turn.
func (w *waiters) expected() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []string
	for id := range w.waiting {
		if ids = append(ids, id); len(ids) == watchBatch {
			break
		}
	}
	return ids
}

// look resolves what has ended. A database that does not answer leaves the waits to their deadlines.
func (w *waiters) look(ctx context.Context, ids []string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	states, err := w.store.States(ctx, ids)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, state := range states {
		if state != Accepted {
			w.resolve(id, state)
		}
	}
}
