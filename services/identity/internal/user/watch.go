package user

import (
	"context"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/internal/cursor"
)

// Change is a user as it is now, or one that is gone: of that only the ids are told.
type Change struct {
	User User
	Gone bool
}

// ChangeStore reads what changed. Each method is one statement.
type ChangeStore interface {
	// Changes returns at most limit rows of the scope that are news after the cursor, in the order
	// of its read (package cursor), and what the statement saw. A first read is of users that are
	// there.
	Changes(ctx context.Context, scope Scope, after cursor.Cursor, limit int) ([]cursor.Row[Change], cursor.Head, error)
	// Touched returns the organizations in which something changed after an earlier head, none
	// after the zero Cursor, and what the statement saw.
	Touched(ctx context.Context, after cursor.Cursor) (organizationIDs []string, now cursor.Head, err error)
}

// Times and bounds of watching.
const (
	// Heartbeat is the longest silence of a watcher.
	Heartbeat = 5 * time.Second
	// refresh is how often a watcher whom nothing woke reads, so that its cursor stays young.
	refresh = 5 * time.Minute
	// watchSize is how many changes are read at a time: the most that a watcher who does not read
	// on keeps in memory.
	watchSize = 100
	// watchReads is how many watchers of an instance read at a time: the other connections of the
	// pool are for others, however many watchers one change wakes.
	watchReads = 2
)

// Watching tells watchers of an instance what changes. One look at the database (Look, called again
// and again) wakes those whose organization has changes; each then reads its own from its own
// cursor, so nobody is cut for being slow: states merge instead.
type Watching struct {
	store ChangeStore
	beat  time.Duration
	reads chan struct{}

	mu    sync.Mutex
	bells map[*bell]struct{}
	seen  cursor.Cursor // of Look; zero while nobody watches
}

// bell wakes one watcher.
type bell struct {
	scope Scope
	rung  chan struct{}
}

// NewWatching returns watching of a store; beat is the longest silence of a watcher.
func NewWatching(store ChangeStore, beat time.Duration) *Watching {
	return &Watching{store: store, beat: beat, reads: make(chan struct{}, watchReads), bells: map[*bell]struct{}{}}
}

// Look wakes the watchers of what changed since the last Look. Without watchers it asks the store
// for nothing: whoever watches next begins with a look of its own.
func (w *Watching) Look(ctx context.Context) error {
	w.mu.Lock()
	seen := w.seen
	if len(w.bells) == 0 {
		w.seen = cursor.Cursor{}
		w.mu.Unlock()
		return nil
	}
	w.mu.Unlock()
	touched, head, err := w.store.Touched(ctx, seen)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = cursor.At(head)
	w.ring(touched, seen.Origin != head.Origin)
	return nil
}

// ring wakes the watchers of organizations and of all of them; everybody at the first look, and
// after the database has become another one. Callers hold mu.
func (w *Watching) ring(organizationIDs []string, everybody bool) {
	if len(organizationIDs) == 0 && !everybody {
		return
	}
	touched := make(map[string]bool, len(organizationIDs))
	for _, id := range organizationIDs {
		touched[id] = true
	}
	for b := range w.bells {
		if everybody || b.scope.everywhere || touched[b.scope.organizationID] {
			select {
			case b.rung <- struct{}{}:
			default: // it is woken already
			}
		}
	}
}

func (w *Watching) join(scope Scope) *bell {
	b := &bell{scope: scope, rung: make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bells[b] = struct{}{}
	return b
}

func (w *Watching) leave(b *bell) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.bells, b)
}

// Tell hands one change to whoever watches, with the cursor after it. No change is a sign of life.
type Tell func(change *Change, after cursor.Cursor) error

// Watch tells what is news after the cursor, then what changes, until ctx ends. A sign of life says
// that everything was told: at once when that is so for the first time, then at least every
// heartbeat.
func (w *Watching) Watch(ctx context.Context, scope Scope, after cursor.Cursor, tell Tell) error {
	b := w.join(scope) // before the first read: what happens from here on rings
	defer w.leave(b)
	beat := time.NewTicker(w.beat)
	defer beat.Stop()
	after, err := w.news(ctx, scope, after, tell)
	if err == nil {
		err = tell(nil, after)
	}
	for err == nil {
		if err = wait(ctx, b, beat, func() error { return tell(nil, after) }); err == nil {
			after, err = w.news(ctx, scope, after, tell)
		}
	}
	return err
}

// wait waits until there may be news, and shows signs of life meanwhile.
func wait(ctx context.Context, b *bell, beat *time.Ticker, alive func() error) error {
	again := time.NewTimer(refresh)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.rung:
			return nil
		case <-again.C:
			return nil
		case <-beat.C:
			if err := alive(); err != nil {
				return err
			}
		}
	}
}

// news tells everything that is news, and returns the cursor after it.
func (w *Watching) news(ctx context.Context, scope Scope, after cursor.Cursor, tell Tell) (cursor.Cursor, error) {
	for more := true; more; {
		var told []cursor.Told[Change]
		var err error
		if told, after, more, err = w.read(ctx, scope, after); err != nil {
			return after, err
		}
		for _, t := range told {
			if err := tell(&t.Value, t.After); err != nil {
				return after, err
			}
		}
	}
	return after, nil
}

// read is one batch.
func (w *Watching) read(ctx context.Context, scope Scope, after cursor.Cursor) ([]cursor.Told[Change], cursor.Cursor, bool, error) {
	select {
	case w.reads <- struct{}{}:
		defer func() { <-w.reads }()
	case <-ctx.Done():
		return nil, after, false, ctx.Err()
	}
	rows, head, err := w.store.Changes(ctx, scope, after, watchSize)
	if err != nil {
		return nil, after, false, err
	}
	return cursor.Advance(after, head, rows, watchSize)
}
