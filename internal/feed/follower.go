package feed

import "sync"

// Follower receives the items that it wants. One goroutine takes them.
type Follower[T any] struct {
	wants func(T) bool
	ready chan struct{}

	mu    sync.Mutex
	items []T
	bytes int // what items take
	upTo  int64
	taken int64 // the position up to which nothing is left to take
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
// it fell too far behind or the feed began anew. What it had not taken then is dropped, and its
// position is the one before that.
func (w *Follower[T]) Ready() <-chan struct{} { return w.ready }

// Take returns what came since the last Take, and the position up to which that is everything.
func (w *Follower[T]) Take() (items []T, upTo int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	items, w.items, w.bytes, w.taken = w.items, nil, 0, w.upTo
	return items, w.upTo
}

// add reports false when the follower is too far behind. Who has taken everything is not behind,
// however much there is to take now: what is told at once is the reader's to bound.
func (w *Follower[T]) add(upTo int64, items []T, bound int, size func(T) int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.upTo = upTo
	behind := len(w.items) > 0
	for _, item := range items {
		if w.wants(item) {
			w.items, w.bytes = append(w.items, item), w.bytes+size(item)
		}
	}
	switch {
	case behind && w.bytes > bound:
		return false
	case len(w.items) == 0:
		w.taken = upTo
	default:
		select {
		case w.ready <- struct{}{}:
		default: // it is said already
		}
	}
	return true
}

// drop forgets what was not taken.
func (w *Follower[T]) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.items, w.bytes, w.upTo = nil, 0, w.taken
}
