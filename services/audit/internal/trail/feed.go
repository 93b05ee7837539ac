package trail

import (
	"context"
	"sync"

	"github.com/gatehouse/gatehouse/internal/feed"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1/reason"
)

const (
	page    = 500     // events that are read at a time
	backlog = 2 << 20 // bytes that a follower may be behind before it is cut
)

// Feed tells followers what is stored. One reader per process (Read, called again and again) asks
// the store and serves any number of followers, each with a bounded backlog.
type Feed struct {
	*feed.Feed[Stored]
	store Reader

	reading sync.Mutex // one Read at a time

	mu   sync.Mutex
	head int64 // everything up to it was told
}

// NewFeed returns a feed.
func NewFeed(store Reader) *Feed {
	return &Feed{Feed: feed.New(backlog, size), store: store}
}

// size is about what an event takes in memory, in bytes: names and ids are short, values need not
// be.
func size(s Stored) int {
	n := 1 << 10
	for _, c := range s.Event.Changes {
		n += len(c.Field) + len(c.Value) + len(c.Hash)
	}
	return n
}

// Read tells the followers what was stored since the last Read. Without followers it asks the store
// for nothing: whoever follows next begins with a look of its own.
func (f *Feed) Read(ctx context.Context) error {
	if !f.Followed() {
		return nil
	}
	return f.read(ctx)
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
		f.CutAll()
	}
	followed = f.Followed()
	if !followed {
		f.head = head
	}
	return f.head, followed
}

func (f *Feed) publish(events []Stored, upTo int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head = upTo
	f.Tell(upTo, events...)
}

// Follow returns a follower of matching events and the position after which they begin; stop must
// be called when it is done.
func (f *Feed) Follow(ctx context.Context, filter Filter) (w *feed.Follower[Stored], from int64, stop func(), err error) {
	if err := f.read(ctx); err != nil {
		return nil, 0, nil, err
	}
	defer f.Wake() // for what is stored between that look and here, where nobody followed yet
	f.mu.Lock()
	defer f.mu.Unlock()
	w = feed.NewFollower(filter.Matches)
	f.Join(w, f.head)
	return w, f.head, func() { f.Leave(w) }, nil
}

// tooSlow is the end of a follower that was cut.
func tooSlow() error {
	return reason.TooSlow()
}
