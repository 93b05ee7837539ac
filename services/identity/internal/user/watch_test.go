package user_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// counted is a store that counts what it is asked, and fails, waits or moves when the test says so.
type counted struct {
	user.ChangeStore
	reads, looks         atomic.Int32
	readsFail, looksFail atomic.Bool
	moved                atomic.Bool   // to another server
	held                 chan struct{} // reads wait for it; nil for none
}

func (c *counted) Changes(ctx context.Context, s user.Scope, after cursor.Cursor, limit int) ([]cursor.Row[user.Change], cursor.Head, error) {
	c.reads.Add(1)
	if c.held != nil {
		<-c.held
	}
	if c.readsFail.Load() {
		return nil, cursor.Head{}, errBroken
	}
	return c.ChangeStore.Changes(ctx, s, after, limit)
}

func (c *counted) Touched(ctx context.Context, after cursor.Cursor) ([]string, cursor.Head, error) {
	c.looks.Add(1)
	if c.looksFail.Load() {
		return nil, cursor.Head{}, errBroken
	}
	touched, head, err := c.ChangeStore.Touched(ctx, after)
	if c.moved.Load() {
		head.Origin.Timeline++
	}
	return touched, head, err
}

// watcher is a running Watch.
type watcher struct {
	t      *testing.T
	told   chan string // "" for a sign of life, an address, or the id of one who is gone
	cursor atomic.Pointer[cursor.Cursor]
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // after ended
}

// watch begins to watch, until the test ends.
func watch(t *testing.T, w *user.Watching, scope user.Scope, after cursor.Cursor) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	one := &watcher{t: t, told: make(chan string, 1000), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(one.ended)
		one.err = w.Watch(ctx, scope, after, func(c *user.Change, after cursor.Cursor) error {
			one.cursor.Store(&after)
			switch {
			case c == nil:
				one.told <- ""
			case c.Gone:
				one.told <- "-" + c.User.ID
			default:
				one.told <- c.User.Email
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-one.ended
	})
	return one
}

// wantEnd waits for the end, and for its error.
func (w *watcher) wantEnd(want error) {
	w.t.Helper()
	select {
	case <-w.ended:
	case <-time.After(30 * time.Second):
		w.t.Fatal("it goes on")
	}
	if !errors.Is(w.err, want) {
		w.t.Errorf("it ends with %v, want %v", w.err, want)
	}
}

func (w *watcher) want(said ...string) {
	w.t.Helper()
	for _, want := range said {
		select {
		case got := <-w.told:
			if got != want {
				w.t.Fatalf("told %q, want %q", got, want)
			}
		case <-time.After(30 * time.Second):
			w.t.Fatalf("%q is not told", want)
		}
	}
}

func (w *watcher) silent() {
	w.t.Helper()
	select {
	case got := <-w.told:
		w.t.Errorf("told %q, want nothing", got)
	default:
	}
}

// Everybody is told who is there, and that this is all; then a look wakes those whose organization
// has changes, and nobody else reads.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.created(t)
	store := &counted{ChangeStore: w.database.Users}
	watching := user.NewWatching(store, time.Hour)
	look := func() {
		t.Helper()
		check.NoError(t, watching.Look(t.Context()))
	}
	look()
	if n := store.looks.Load(); n > 0 {
		t.Errorf("without watchers the database was asked %d times", n)
	}
	own := watch(t, watching, user.In(ada.OrganizationID), cursor.Cursor{})
	all := watch(t, watching, user.Everywhere(), cursor.Cursor{})
	for _, one := range []*watcher{own, all} {
		one.want(ada.Email, "")
	}
	look() // the first wakes everybody: what happened before it is not known
	check.Eventually(t, "both read again", func() bool { return store.reads.Load() == 4 })
	foreign := w.created(t)
	look()
	all.want(foreign.Email)
	w.imported(t, ada.OrganizationID, user.Imported{Email: "b@example.com"})
	look()
	own.want("b@example.com")
	all.want("b@example.com")
	check.NoError(t, w.remove(drafted(t), foreign, ""))
	look()
	all.want("-" + foreign.ID)
	own.silent()
	check.Eventually(t, "all reads are over", func() bool { return store.reads.Load() == 8 })
	look()
	if n := store.reads.Load(); n != 8 {
		t.Errorf("without changes the database was read %d times more", n-8)
	}
	store.moved.Store(true) // to a server whose transactions have other numbers
	look()
	check.Eventually(t, "everybody reads again", func() bool { return store.reads.Load() == 10 })
	own.cancel()
	own.wantEnd(context.Canceled)
}

// More than one read holds is told whole, once, and so is the rest to who comes back in the middle.
func TestWatchInBatches(t *testing.T) {
	t.Parallel()
	const size = 250
	w := newWorld(t)
	o := w.created(t).OrganizationID
	users := make([]user.Imported, size)
	for i := range users {
		users[i].Email = fmt.Sprintf("u%d@example.com", i)
	}
	w.imported(t, o, users...)
	store := &counted{ChangeStore: w.database.Users}
	watching := user.NewWatching(store, time.Hour)
	seen := map[string]bool{}
	after, stop := cursor.Cursor{}, errors.New("that is enough")
	read := func(limit int) error {
		return watching.Watch(t.Context(), user.In(o), after, func(c *user.Change, next cursor.Cursor) error {
			if c == nil || limit == 0 {
				return stop
			}
			if seen[c.User.ID] {
				t.Errorf("%s is told twice", c.User.Email)
			}
			limit--
			seen[c.User.ID], after = true, next
			return nil
		})
	}
	for _, limit := range []int{120, 1, 1000} {
		if err := read(limit); !errors.Is(err, stop) {
			t.Fatal(err)
		}
	}
	if len(seen) != size+1 {
		t.Errorf("%d of %d users were told", len(seen), size+1)
	}
}

// A watcher whom nothing wakes shows signs of life.
func TestWatchShowsThatItLives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := &counted{ChangeStore: w.database.Users}
	one := watch(t, user.NewWatching(store, 10*time.Millisecond), user.Everywhere(), cursor.Cursor{})
	one.want("", "", "", "")
	if n := store.reads.Load(); n != 1 {
		t.Errorf("the database was read %d times", n)
	}
}

// A store that fails ends who reads it, with its error, and the look that asked; who waits for a
// turn to read is ended by its context.
func TestWatchThatCannotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	t.Run("from the beginning", func(t *testing.T) {
		store := &counted{ChangeStore: w.database.Users}
		store.readsFail.Store(true)
		watch(t, user.NewWatching(store, time.Hour), user.Everywhere(), cursor.Cursor{}).wantEnd(errBroken)
	})
	t.Run("later", func(t *testing.T) {
		store := &counted{ChangeStore: w.database.Users}
		watching := user.NewWatching(store, time.Hour)
		one := watch(t, watching, user.Everywhere(), cursor.Cursor{})
		one.want(u.Email, "")
		store.looksFail.Store(true)
		if err := watching.Look(t.Context()); !errors.Is(err, errBroken) {
			t.Errorf("the look ends with %v", err)
		}
		store.looksFail.Store(false)
		store.readsFail.Store(true)
		check.NoError(t, watching.Look(t.Context())) // wakes everybody: the look that failed saw nothing
		one.wantEnd(errBroken)
		one.silent()
	})
	t.Run("while others read", func(t *testing.T) {
		store := &counted{ChangeStore: w.database.Users, held: make(chan struct{})}
		defer close(store.held)
		watching := user.NewWatching(store, time.Hour)
		for range 2 {
			watch(t, watching, user.Everywhere(), cursor.Cursor{})
		}
		check.Eventually(t, "two read", func() bool { return store.reads.Load() == 2 })
		third := watch(t, watching, user.Everywhere(), cursor.Cursor{})
		third.cancel()
		third.wantEnd(context.Canceled)
		if n := store.reads.Load(); n != 2 {
			t.Errorf("%d read at once", n)
		}
	})
	t.Run("with the cursor of another database", func(t *testing.T) {
		store := &counted{ChangeStore: w.database.Users}
		one := watch(t, user.NewWatching(store, time.Hour), user.Everywhere(), cursor.Cursor{})
		one.want(u.Email, "")
		foreign := *one.cursor.Load()
		foreign.Origin.System++
		watch(t, user.NewWatching(store, time.Hour), user.Everywhere(), foreign).wantEnd(cursor.Expired())
	})
}
