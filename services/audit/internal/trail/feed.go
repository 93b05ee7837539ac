package trail

import (
	"context"
	"sync"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

const (
	page    = 500  // events that are read at a time
	backlog = 2000 // events that a follower may be behind before it is cut
)

// Feed tells followers what is stored. One reader per process (Read, called again and again) asks the store and serves any number of
// followers, each with a bounded backlog.
type Feed struct {
	store Reader
	wake  chan struct{}

	reading sync.Mutex // one Read at a time

	mu        sync.Mutex
	head      int64 // everything up to it was told
	followers map[*Follower]struct{}
}

// NewFeed returns a feed.
func NewFeed(store Reader) *Feed {
	return &Feed{store: store, wake: make(chan struct{}, 1), followers: map[*Follower]struct{}{}}
}

// Wake asks for a read soon: something was stored.
func (f *Feed) Wake() {
	select {
	case f.wake <- struct{}{}:
	default: // it is asked for already
	}
}

// Woken receives after Wake.
func (f *Feed) Woken() <-chan struct{} { return f.wake }

// Read tells the followers what was stored since the last Read. Without followers it asks the store
// for nothing: whoever follows next begins with a look of its own.
func (f *Feed) Read(ctx context.Context) error {
	if !f.followed() {
		return nil
	}
	return f.read(ctx)
}

func (f *Feed) followed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.followers) > 0
}

func (f *Feed) read(ctx context.Context) error {
	f.reading.Lock()
	defer f.reading.Unlock()
	head, err := f.store.Head(ctx)
	if err != nil {
		return err
	}
	after, followed := f.begin(head)
	for followed && after < head {
		events, upTo, err := f.store.Range(ctx, Filter{}, after, min(after+page, head), page)
		if err != nil {
			return err
		}
		f.publish(events, upTo)
		after = upTo
	}
	return nil
}

// begin returns where to read from. Without followers no events need to be read.
func (f *Feed) begin(head int64) (after int64, followed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if head < f.head { // an older state of the database was restored
		for w := range f.followers {
			f.cut(w)
		}
	}
	if len(f.followers) == 0 {
		f.head = head
	}
	return f.head, len(f.followers) > 0
}

func (f *Feed) publish(events []Stored, upTo int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head = upTo
	for w := range f.followers {
		if !w.add(events, upTo) {
			f.cut(w)
		}
	}
}

// cut ends a follower; mu is held.
func (f *Feed) cut(w *Follower) {
	delete(f.followers, w)
	close(w.ready)
}

// Follow returns a follower of matching events and the position after which they begin; stop must be called when it is done.
func (f *Feed) Follow(ctx context.Context, filter Filter) (w *Follower, from int64, stop func(), err error) {
	if err := f.read(ctx); err != nil {
		return nil, 0, nil, err
	}
	defer f.Wake() // for what is stored between that look and here, where nobody followed yet
	f.mu.Lock()
	defer f.mu.Unlock()
	w = &Follower{filter: filter, ready: make(chan struct{}, 1), upTo: f.head}
	f.followers[w] = struct{}{}
	return w, f.head, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.followers, w)
	}, nil
}

// Follower receives events.
type Follower struct {
	filter Filter
	ready  chan struct{} // closed when the follower is cut

	mu     sync.Mutex
	events []Stored
	upTo   int64
}

// add reports false when the follower is too far behind.
func (w *Follower) add(events []Stored, upTo int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.upTo = upTo
	for _, e := range events {
		if w.filter.Matches(e) {
			w.events = append(w.events, e)
		}
	}
	if len(w.events) > backlog {
		return false
	}
	if len(w.events) > 0 {
		select {
		case w.ready <- struct{}{}:
		default:
		}
	}
	return true
}

// Ready receives when there is something to take. It is closed when the follower fell too far behind.
func (w *Follower) Ready() <-chan struct{} { return w.ready }

// Take returns what came since the last Take, and the position up to which that is everything.
func (w *Follower) Take() (events []Stored, upTo int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, w.events = w.events, nil
	return events, w.upTo
}

// tooSlow is the end of a follower that was cut.
func tooSlow() error {
	return apierr.New(apierr.Unavailable, "TOO_SLOW", "the stream fell behind: tail again from its last cursor")
}
