// Package feed hands what one reader finds in a store to any number of followers, such as the
// streams of one RPC.
//
// A service has one reader, which looks again and again and at once after Wake, and tells its Feed
// what is new. A follower that falls too far behind is cut, so that a slow client costs a bounded
// amount of memory and holds nobody up. Domain packages of services import it.
package feed

import "sync"

// Feed tells followers about items. Safe for concurrent use.
type Feed[T any] struct {
	bound int
	size  func(T) int
	wake  chan struct{}

	mu        sync.Mutex
	followers map[*Follower[T]]struct{}
}

// New returns a feed whose followers may be so many bytes behind before they are cut. size says
// what an item takes in memory, about.
func New[T any](bound int, size func(T) int) *Feed[T] {
	return &Feed[T]{bound: bound, size: size, wake: make(chan struct{}, 1), followers: map[*Follower[T]]struct{}{}}
}

// Wake asks for a look soon: there is something new. It never blocks.
func (f *Feed[T]) Wake() {
	select {
	case f.wake <- struct{}{}:
	default: // it is asked for already
	}
}

// Woken receives after Wake.
func (f *Feed[T]) Woken() <-chan struct{} { return f.wake }

// Followed reports whether anybody follows.
func (f *Feed[T]) Followed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.followers) > 0
}

// Join makes w a follower, who is told first what is given here, and what comes from now on.
func (f *Feed[T]) Join(w *Follower[T], upTo int64, first ...T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followers[w] = struct{}{}
	f.tell(w, upTo, first)
}

// Leave ends following. Whoever joined must leave; who was cut may.
func (f *Feed[T]) Leave(w *Follower[T]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.followers, w)
}

// Tell tells every follower the items, and the position up to which there are no others; a feed
// without positions says 0.
func (f *Feed[T]) Tell(upTo int64, items ...T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.followers {
		f.tell(w, upTo, items)
	}
}

// CutAll ends all followers: what they were told is no longer true.
func (f *Feed[T]) CutAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.followers {
		f.cut(w)
	}
}

// tell cuts a follower who has fallen behind. Callers hold mu.
func (f *Feed[T]) tell(w *Follower[T], upTo int64, items []T) {
	if !w.add(upTo, items, f.bound, f.size) {
		f.cut(w)
	}
}

// cut ends a follower. Callers hold mu.
func (f *Feed[T]) cut(w *Follower[T]) {
	delete(f.followers, w)
	w.drop()
	close(w.ready)
}
