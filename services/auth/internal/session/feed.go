package session

import (
	"context"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/internal/feed"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
)

const (
	heartbeat = time.Second            // a follower hears at least this often while the database answers
	fresh     = 500 * time.Millisecond // a set read this recently is as good as one read now
	backlog   = 1 << 20                // bytes that a slow follower may be behind before it is cut
)

// Update is one message to a follower: ended sessions since the last one, all of them in the first
// one, none in a heartbeat.
type Update []Revocation

// size is about what an update takes in memory, in bytes.
func size(u Update) int { return 1<<10 + 100*len(u) }

// Feed tells followers which sessions ended. One reader per process (Read, called again and again)
// asks the store and serves any number of followers. Followers hear nothing while the store cannot
// be read: their silence makes every program stop accepting tokens rather than miss a sign-out.
type Feed struct {
	updates *feed.Feed[Update]
	store   Store
	now     func() time.Time

	reading sync.Mutex // one Read at a time
	window  Window     // guarded by reading

	mu      sync.Mutex
	known   map[string]time.Time // session id -> expire time; nil until the first complete read
	read    time.Time            // last good read
	told    time.Time            // last update to everybody
	waiting map[*Follower]struct{}
}

// Follower receives updates. The first is the complete set; one that was cut must follow anew.
type Follower = feed.Follower[Update]

// NewFeed returns a feed that knows nothing until the first Read.
func NewFeed(store Store, now func() time.Time) *Feed {
	return &Feed{updates: feed.New(backlog, size), store: store, now: now, waiting: map[*Follower]struct{}{}}
}

// Read asks the store once and tells the followers. After an error nothing is told, and the next
// read asks for the complete set, since the order of commits may not hold across a change of the
// server.
func (f *Feed) Read(ctx context.Context) error {
	f.reading.Lock()
	defer f.reading.Unlock()
	asked := f.now()
	ended, window, err := f.store.Revocations(ctx, f.window, asked)
	if err != nil {
		f.window = 0
		return err
	}
	f.window = window
	f.publish(ended, asked)
	return nil
}

// Wake asks for a read soon: a session ended in this process.
func (f *Feed) Wake() { f.updates.Wake() }

// Woken receives after Wake.
func (f *Feed) Woken() <-chan struct{} { return f.updates.Woken() }

// publish adds what is new and tells everybody who needs to hear.
func (f *Feed) publish(ended []Revocation, asked time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		f.known = make(map[string]time.Time, len(ended))
	}
	var news Update
	for _, r := range ended {
		if _, old := f.known[r.SessionID]; !old {
			f.known[r.SessionID] = r.ExpireTime
			news = append(news, r)
		}
	}
	f.read = asked
	if len(news) > 0 || !asked.Before(f.told.Add(heartbeat-fresh/2)) {
		f.told = asked
		f.forget(asked)
		f.updates.Tell(0, news)
	}
	for w := range f.waiting { // after the news, which the complete set has
		f.greet(w)
	}
}

// Follow returns a follower; stop must be called when it is done.
func (f *Feed) Follow() (w *Follower, stop func()) {
	w = feed.NewFollower[Update](nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting[w] = struct{}{}
	if f.known != nil && f.now().Sub(f.read) < fresh {
		f.greet(w) // else the next good read does
	}
	return w, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.waiting, w)
		f.updates.Leave(w)
	}
}

// Current is a readiness check: an error while the feed has not read the store for so long that
// nobody believes it any more.
func (f *Feed) Current(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil || f.now().Sub(f.read) > token.StaleAfter {
		return reason.RevocationsUnavailable()
	}
	return nil
}

// greet sends the complete set, to a follower that waits for it. Callers hold mu.
func (f *Feed) greet(w *Follower) {
	all := make(Update, 0, len(f.known))
	for id, expires := range f.known {
		all = append(all, Revocation{SessionID: id, ExpireTime: expires})
	}
	delete(f.waiting, w)
	f.updates.Join(w, 0, all)
}

// forget drops what expired: the window may bring it again only until the store stops returning it.
// Callers hold mu.
func (f *Feed) forget(now time.Time) {
	for id, expires := range f.known {
		if expires.Before(now) {
			delete(f.known, id)
		}
	}
}
