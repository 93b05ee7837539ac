package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// next returns the one update that is there, or fails.
func next(t *testing.T, f *session.Follower) session.Update {
	t.Helper()
	updates := take(t, f)
	if len(updates) != 1 {
		t.Fatalf("%d updates are there, want one", len(updates))
	}
	return updates[0]
}

func none(t *testing.T, f *session.Follower) {
	t.Helper()
	if updates := take(t, f); len(updates) > 0 {
		t.Fatalf("updates %v; want none", updates)
	}
}

// take returns the updates that are there.
func take(t *testing.T, f *session.Follower) []session.Update {
	t.Helper()
	select {
	case _, ok := <-f.Ready():
		if !ok {
			t.Fatal("the follower was cut")
		}
	default:
		return nil
	}
	updates, _ := f.Take()
	return updates
}

func (w *world) read(t *testing.T) {
	t.Helper()
	if err := w.feed.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// endOne ends a fresh session and returns its id.
func (w *world) endOne(t *testing.T) string {
	t.Helper()
	sid := w.claims(t, w.start(t).Access).SessionID
	if err := w.End(postgrestest.Request(t.Context(), "auth.signed_out"), w.userID, sid); err != nil {
		t.Fatal(err)
	}
	return sid
}

func TestFeedTellsTheCompleteSetThenNews(t *testing.T) { // R22
	w := newWorld(t)
	old := w.endOne(t)
	early, stop := w.feed.Follow()
	defer stop()
	none(t, early) // nothing is known before the first read
	w.read(t)
	if u := next(t, early); len(u) != 1 || u[0].SessionID != old {
		t.Fatalf("first update = %v, want %s", u, old)
	}
	late, stop := w.feed.Follow()
	defer stop()
	if u := next(t, late); len(u) != 1 || u[0].SessionID != old {
		t.Fatalf("first update of a late follower = %v, want %s", u, old)
	}
	w.read(t)
	none(t, early)
	fresh := w.endOne(t)
	w.read(t)
	for _, f := range []*session.Follower{early, late} {
		if u := next(t, f); len(u) != 1 || u[0].SessionID != fresh {
			t.Fatalf("second update = %v, want %s", u, fresh)
		}
	}
}

func TestFeedBeatsEachSecondOnlyWhileTheStoreAnswers(t *testing.T) {
	w := newWorld(t)
	w.read(t)
	f, stop := w.feed.Follow()
	defer stop()
	if u := next(t, f); len(u) != 0 {
		t.Fatalf("first update = %v, want the empty set", u)
	}
	for range 3 {
		beats := 0
		for range 4 { // one second of reads
			w.now = w.now.Add(250 * time.Millisecond)
			w.read(t)
			beats += len(take(t, f))
		}
		if beats == 0 || beats > 2 {
			t.Fatalf("%d heartbeats in a second", beats)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 8 {
		w.now = w.now.Add(250 * time.Millisecond)
		if err := w.feed.Read(gone); err == nil {
			t.Fatal("the read did not fail")
		}
	}
	none(t, f)
	lateFollower, stop := w.feed.Follow()
	defer stop()
	none(t, lateFollower) // an old set is not a complete set
	missed := w.endOne(t)
	w.read(t)
	if u := next(t, f); len(u) != 1 || u[0].SessionID != missed {
		t.Fatalf("after the fault = %v, want %s", u, missed)
	}
	if u := next(t, lateFollower); len(u) != 1 || u[0].SessionID != missed {
		t.Fatalf("first update after the fault = %v, want %s", u, missed)
	}
}

func TestFeedReadsEverythingAgainAfterAnError(t *testing.T) {
	store := &windows{}
	feed := session.NewFeed(store, time.Now)
	for _, c := range []struct {
		fail error
		want session.Window
	}{{nil, 0}, {nil, 7}, {errors.New("gone"), 7}, {nil, 0}, {nil, 7}} {
		store.fail = c.fail
		_ = feed.Read(t.Context())
		if store.asked != c.want {
			t.Fatalf("the read asked from window %d, want %d", store.asked, c.want)
		}
	}
}

// windows records from where it was asked.
type windows struct {
	session.Store
	asked session.Window
	fail  error
}

func (s *windows) Revocations(_ context.Context, after session.Window, _ time.Time) ([]session.Revocation, session.Window, error) {
	s.asked = after
	return nil, 7, s.fail
}

func TestFeedCutsASlowFollowerAndServesTheOthers(t *testing.T) {
	w := newWorld(t)
	w.read(t)
	slow, stopSlow := w.feed.Follow()
	defer stopSlow()
	quick, stopQuick := w.feed.Follow()
	defer stopQuick()
	next(t, quick)
	for range 1100 { // heartbeats, a KiB each
		w.now = w.now.Add(time.Second)
		w.read(t)
		next(t, quick)
	}
	said := 0
	for range slow.Ready() { // until it is closed
		said++
	}
	if updates, _ := slow.Take(); said > 1 || len(updates) > 0 {
		t.Fatalf("the slow follower was told %d times and holds %d updates after it was cut", said, len(updates))
	}
}

func TestFeedForgetsTheExpired(t *testing.T) {
	w := newWorld(t)
	w.endOne(t)
	w.read(t)
	w.now = w.now.Add(time.Hour)
	w.read(t)
	w.read(t)
	f, stop := w.feed.Follow()
	defer stop()
	if u := next(t, f); len(u) != 0 {
		t.Fatalf("the complete set = %v, want it empty", u)
	}
}

func TestFeedIsCurrentWhileItsLastReadIsFresh(t *testing.T) {
	w := newWorld(t)
	if err := w.feed.Current(t.Context()); err == nil {
		t.Fatal("current before the first read")
	}
	for range 2 { // the second time after a fault
		w.read(t)
		w.now = w.now.Add(token.StaleAfter)
		if err := w.feed.Current(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Millisecond)
		if err := w.feed.Current(t.Context()); err == nil || apierr.From(err).Reason != "REVOCATIONS_UNAVAILABLE" {
			t.Fatalf("after %s without a read: %v", token.StaleAfter, err)
		}
	}
}

// TestFeedFollowersComeAndGo is for the race detector.
func TestFeedFollowersComeAndGo(t *testing.T) {
	w := newWorld(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 50 {
			f, stop := w.feed.Follow()
			_, _ = f.Take()
			stop()
		}
	}()
	for range 20 {
		w.read(t)
	}
	<-done
}

// A session that ends in this process is read at once.
func TestFeedIsWoken(t *testing.T) {
	w := newWorld(t)
	w.feed.Wake()
	w.feed.Wake()
	<-w.feed.Woken()
	select {
	case <-w.feed.Woken():
		t.Error("two wakes before one read are two reads")
	default:
	}
}
