package trail_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

func open(t *testing.T) *postgres.Events {
	t.Helper()
	serving, _ := pgtest.Split(t, migrations.Schema, migrations.Files)
	pool := pgtest.Open(t, serving)
	return postgres.NewEvents(pool)
}

// A reader that does not keep up is cut with a clear error, and gets everything when it resumes from its last cursor.
func TestASlowReaderIsCutAndResumes(t *testing.T) {
	t.Parallel()
	store := open(t)
	feed := trail.NewFeed(store)
	service := trail.NewService(trail.Params{Lister: store, Reader: store, Feed: feed, Heartbeat: time.Hour})
	blocked, release := make(chan struct{}), make(chan struct{})
	var position int64
	var got int
	var block sync.Once
	done := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		done <- service.Tail(t.Context(), trail.Filter{}, nil, func(events []trail.Stored, upTo int64) error {
			got += len(events)
			position = upTo
			if len(events) == 0 {
				close(began)
				return nil
			}
			block.Do(func() {
				close(blocked)
				<-release
			})
			return nil
		})
	}()
	<-began
	const each, times = 500, 5
	read := func() {
		t.Helper()
		if err := feed.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stored := 0
	for following := false; !following; stored++ { // until the reader has something to be slow with
		trailtest.Fill(t, store, 1)
		read()
		select {
		case <-blocked:
			following = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	for range times {
		trailtest.Fill(t, store, each)
		stored += each
		read()
	}
	close(release)
	err := <-done
	if !errors.Is(err, apierr.New(apierr.Unavailable, "TOO_SLOW", "")) {
		t.Fatalf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = service.Tail(ctx, trail.Filter{}, &position, func(events []trail.Stored, _ int64) error {
		if got += len(events); got == stored {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || got != stored {
		t.Errorf("%d of %d events came, %v", got, stored, err)
	}
}

// A tail of little goes over much: it shows signs of life meanwhile, whose cursors lead on.
func TestCatchingUpShowsSignsOfLife(t *testing.T) {
	t.Parallel()
	store := open(t)
	trailtest.Fill(t, store, 1, func(e *event.Event) { e.Action = "user.other" })
	for range 6 {
		trailtest.Fill(t, store, 1000)
	}
	service := trail.NewService(trail.Params{Lister: store, Reader: store, Feed: trail.NewFeed(store), Heartbeat: time.Nanosecond})
	ctx, cancel := context.WithCancel(t.Context())
	start, signs := int64(0), []int64{}
	err := service.Tail(ctx, trail.Filter{Action: "user.other"}, &start, func(events []trail.Stored, upTo int64) error {
		if len(events) == 0 {
			signs = append(signs, upTo)
		}
		if upTo == 6001 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || len(signs) < 2 || signs[0] != 0 || signs[len(signs)-1] != 6001 {
		t.Errorf("signs of life at %v, %v", signs, err)
	}
}

// R93: an old cursor costs what the filter matches, not what the trail has grown by.
func TestAnOldCursorReadsWhatMatches(t *testing.T) {
	t.Parallel()
	store := &counted{Events: open(t)}
	for _, f := range []func(*event.Event){
		func(e *event.Event) { e.Actor.ID = "one" }, func(e *event.Event) { e.ObjectID = "one" },
		func(e *event.Event) { e.OrganizationID = "11111111-2222-4333-8444-000000000001" },
	} {
		trailtest.Fill(t, store, 1, f)
	}
	for range 11 {
		trailtest.Fill(t, store, 1000)
	}
	service := trail.NewService(trail.Params{Lister: store, Reader: store, Feed: trail.NewFeed(store), Heartbeat: time.Hour})
	for _, filter := range []trail.Filter{
		{ActorID: "one"}, {ObjectID: "one", Action: "user.updated"}, {OrganizationID: "11111111-2222-4333-8444-000000000001"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		start, got := int64(0), 0
		before := store.ranges
		err := service.Tail(ctx, filter, &start, func(events []trail.Stored, _ int64) error {
			if got += len(events); got == 1 {
				cancel()
			}
			return nil
		})
		if looks := store.ranges - before; !errors.Is(err, context.Canceled) || got != 1 || looks != 1 {
			t.Errorf("%+v: %d events in %d looks, %v", filter, got, looks, err)
		}
	}
}

// counted counts how often the trail is looked through.
type counted struct {
	*postgres.Events
	ranges int
}

func (c *counted) Range(ctx context.Context, f trail.Filter, after, upTo int64, limit int) ([]trail.Stored, int64, error) {
	c.ranges++
	return c.Events.Range(ctx, f, after, upTo, limit)
}

// An older state of the database was restored: who follows is cut, since positions will mean other events.
func TestFollowersAreCutWhenTheTrailIsShorter(t *testing.T) {
	t.Parallel()
	long, short := open(t), open(t)
	trailtest.Fill(t, long, 3)
	both := &replaced{Events: long}
	feed := trail.NewFeed(both)
	follower, from, stop, err := feed.Follow(t.Context(), trail.Filter{})
	if err != nil || from != 3 {
		t.Fatalf("follow from %d, %v", from, err)
	}
	defer stop()
	both.Events = short
	if err := feed.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, open := <-follower.Ready(); open {
		t.Error("the follower goes on")
	}
}

// replaced is a store whose database is exchanged.
type replaced struct{ *postgres.Events }

// While nobody follows, what is stored costs no look at the store; whoever follows then misses
// nothing of what comes meanwhile.
func TestFeedIsIdleWithoutFollowers(t *testing.T) {
	t.Parallel()
	store := &looked{Events: open(t)}
	feed := trail.NewFeed(store)
	trailtest.Fill(t, store.Events, 2)
	if err := feed.Read(t.Context()); err != nil || store.heads.Load() != 0 {
		t.Fatalf("without followers: %v, %d looks at the store, want none", err, store.heads.Load())
	}
	follower, from, stop, err := feed.Follow(t.Context(), trail.Filter{})
	if err != nil || from != 2 {
		t.Fatalf("follow from %d, %v", from, err)
	}
	defer stop()
	select {
	case <-feed.Woken():
	default:
		t.Fatal("no read is asked for, which would tell what was stored before the follower was known")
	}
	trailtest.Fill(t, store.Events, 1)
	if err := feed.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if events, upTo := follower.Take(); len(events) != 1 || upTo != 3 {
		t.Fatalf("%d events up to %d, want 1 up to 3", len(events), upTo)
	}
}

// looked counts how often the store is asked for its head.
type looked struct {
	*postgres.Events
	heads atomic.Int64
}

func (l *looked) Head(ctx context.Context) (int64, error) {
	l.heads.Add(1)
	return l.Events.Head(ctx)
}
