package feed

import "sync"

// Follower receives the items that it wants. One goroutine takes them.
type Follower[T any] struct {
	wants func(T) bool
	ready chan struct{}

	mu    sync.Mutex
	items []T
	upTo  int64
}

// NewFollower returns a follower who wants some of the items, all of them when wants is nil. It is
// told nothing until it joins.
func NewFollower[T any](wants func(T) bool) *Follower[T] {
	if wants == nil {
		wants = func(T) bool { return true }
	}
	return &Follower[T]{wants: wants, ready: make(chan struct{}, 1)}
}

// Ready receives when there is something to take. It is closed when the follower was cut, because
// it fell too far behind or the feed began anew.
func (w *Follower[T]) Ready() <-chan struct{} { return w.ready }

// Take returns what came since the last Take, and the position up to which that is everything.
func (w *Follower[T]) Take() (items []T, upTo int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	items, w.items = w.items, nil
	return items, w.upTo
}

// add reports false when the follower is too far behind.
func (w *Follower[T]) add(upTo int64, items []T, backlog int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.upTo = upTo
	for _, item := range items {
		if w.wants(item) {
			w.items = append(w.items, item)
		}
	}
	if len(w.items) > backlog {
		return false
	}
	if len(w.items) > 0 {
		select {
		case w.ready <- struct{}{}:
		default: // it is said already
		}
	}
	return true
}
