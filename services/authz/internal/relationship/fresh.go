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
	minMargin  = 50 * time.Millisecond  // kept of the deadline, so that the answer still arrives
	maxMargin  = 500 * time.Millisecond // at most, a tenth of what is left otherwise
	watchBatch = 1000                   // events looked up at a time
	maxWaiters = 10_000                 // of an instance: tokens that name nothing must not fill it
)

// Fresh returns nil when reads reflect the write that the token names; an empty token names none. The write that a token of an event
// names is on its way: Fresh waits for it until shortly before the deadline of ctx. Then, and for a token of another database, the
// answer is UNAVAILABLE "NOT_FRESH_ENOUGH": there is no older answer.
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
	return s.board.wait(ctx, id)
}

// Watch looks for the events that requests wait for, until ctx ends.
func (s *Service) Watch(ctx context.Context) { s.board.run(ctx) }

func notFresh() error {
	return apierr.New(apierr.Unavailable, "NOT_FRESH_ENOUGH", "the write that the consistency token names is not visible yet").
		WithRetryAfter(time.Second)
}

// board is where waits meet the ends of commands. All waits of an instance are served by one query at a time.
type board struct {
	store Store
	now   func() time.Time
	work  chan struct{} // there is somebody who waits
	most  int           // who may wait at a time

	mu      sync.Mutex
	changed chan struct{}           // closed and replaced when a command of this instance ends
	waiting map[string]*expectation // by command
	waiters int
}

type expectation struct {
	done    chan struct{}
	state   State // valid once done is closed
	waiters int
}

func newBoard(store Store, now func() time.Time) *board {
	return &board{
		store: store, now: now, work: make(chan struct{}, 1), most: maxWaiters,
		changed: make(chan struct{}), waiting: map[string]*expectation{},
	}
}

// changes returns a channel that is closed when the next command of this instance ends.
func (b *board) changes() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// settle says that a command has ended.
func (b *board) settle(id string, state State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
	b.resolve(id, state)
}

func (b *board) resolve(id string, state State) {
	if e, ok := b.waiting[id]; ok {
		e.state = state
		close(e.done)
		delete(b.waiting, id)
	}
}

func (b *board) wait(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, b.patience(ctx))
	defer cancel()
	e := b.expect(id)
	if e != nil {
		defer b.leave(id, e)
	}
	// Asked after joining, so that an end in between is not missed.
	states, err := b.store.States(ctx, []string{id})
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
	case b.work <- struct{}{}:
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
func (b *board) patience(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return maxWait
	}
	left := deadline.Sub(b.now())
	return left - min(max(left/10, minMargin), maxMargin)
}

// expect joins those who wait for a command; nil when too many wait already.
func (b *board) expect(id string) *expectation {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiters >= b.most {
		return nil
	}
	b.waiters++
	e, ok := b.waiting[id]
	if !ok {
		e = &expectation{done: make(chan struct{})}
		b.waiting[id] = e
	}
	e.waiters++
	return e
}

func (b *board) leave(id string, e *expectation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiters--
	if e.waiters--; e.waiters == 0 && b.waiting[id] == e {
		delete(b.waiting, id)
	}
}

func (b *board) run(ctx context.Context) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.work:
		}
		for ids := b.expected(); len(ids) > 0; ids = b.expected() {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			b.look(ctx, ids)
		}
	}
}

// expected returns some of what is waited for; which ones is random, so that all have their turn.
func (b *board) expected() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for id := range b.waiting {
		if ids = append(ids, id); len(ids) == watchBatch {
			break
		}
	}
	return ids
}

// look resolves what has ended. A database that does not answer leaves the waits to their deadlines.
func (b *board) look(ctx context.Context, ids []string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	states, err := b.store.States(ctx, ids)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, state := range states {
		if state != Accepted {
			b.resolve(id, state)
		}
	}
}
