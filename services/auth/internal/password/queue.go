package password

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
)

// retryAfter is what a caller is told when the queue is full: long enough for a whole default queue to be worked off.
const retryAfter = 2 * time.Second

// queue hands out a number of slots. Who has to wait does so in the lane of their address; lanes
// take turns, and each is served in order. When all places are taken, the longest lane gives up its
// newest to a shorter one.
type queue struct {
	places int // for who waits

	mu      sync.Mutex
	free    int // slots
	waiting int
	lanes   map[string]*lane
	turns   []*lane // those in which somebody waits, the next one first
}

type lane struct {
	name    string
	waiters []*waiter // oldest first
}

// waiter learns what became of it when answer is closed or written.
type waiter struct{ answer chan error }

func newQueue(slots, places int) *queue {
	return &queue{places: places, free: slots, lanes: map[string]*lane{}}
}

// acquire takes a slot, waiting for one if need be. No place to wait is RESOURCE_EXHAUSTED
// (SIGN_IN_OVERLOAD); a context that ends meanwhile gives its error.
func (q *queue) acquire(ctx context.Context, lane string) error {
	w, err := q.enter(lane)
	if w == nil || err != nil {
		return err
	}
	select {
	case err := <-w.answer:
		return err
	case <-ctx.Done():
	}
	if !q.leave(lane, w) { // it was answered at the same moment
		if err := <-w.answer; err != nil {
			return err
		}
		q.release()
	}
	return fmt.Errorf("wait for a hashing worker: %w", ctx.Err())
}

// enter takes a free slot, for which it returns nil, or a place to wait.
func (q *queue) enter(name string) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free > 0 {
		q.free--
		return nil, nil
	}
	own := q.lanes[name]
	if own == nil {
		own = &lane{name: name}
	}
	if q.waiting == q.places && !q.makeRoom(len(own.waiters)+1) {
		return nil, overload()
	}
	if len(own.waiters) == 0 {
		q.lanes[name], q.turns = own, append(q.turns, own)
	}
	w := &waiter{answer: make(chan error, 1)}
	own.waiters, q.waiting = append(own.waiters, w), q.waiting+1
	return w, nil
}

// makeRoom sends away the newest of the longest lane if that is longer than length.
func (q *queue) makeRoom(length int) bool {
	var longest *lane
	for _, l := range q.turns {
		if longest == nil || len(l.waiters) > len(longest.waiters) {
			longest = l
		}
	}
	if longest == nil || len(longest.waiters) <= length {
		return false
	}
	last := len(longest.waiters) - 1
	longest.waiters[last].answer <- overload()
	q.remove(longest, last)
	return true
}

// leave gives a place up, and reports whether it was still there.
func (q *queue) leave(name string, w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lanes[name]
	if l == nil {
		return false
	}
	for i := range l.waiters {
		if l.waiters[i] == w {
			q.remove(l, i)
			return true
		}
	}
	return false
}

// release gives a slot back, to the first of the lane whose turn it is.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turns) == 0 {
		q.free++
		return
	}
	next := q.turns[0]
	next.waiters[0].answer <- nil
	q.turns = append(q.turns[1:], next)
	q.remove(next, 0)
}

// remove takes a waiter out of its lane, and an empty lane out of the turns.
func (q *queue) remove(l *lane, i int) {
	l.waiters = slices.Delete(l.waiters, i, i+1)
	q.waiting--
	if len(l.waiters) > 0 {
		return
	}
	delete(q.lanes, l.name)
	q.turns = slices.DeleteFunc(q.turns, func(other *lane) bool { return other == l })
}

func overload() error {
	return reason.SignInOverload().About("service:auth").WithRetryAfter(retryAfter)
}
