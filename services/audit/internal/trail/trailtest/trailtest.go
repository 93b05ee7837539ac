// Package trailtest is what a store of the trail must do. The tests of internal/postgres run it; nothing else imports it.
package trailtest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Store is everything a store does.
type Store interface {
	trail.Appender
	trail.Reader
	trail.Lister
	trail.Names
}

// Start is when the first event of Fill happened; each is a second later than the one before.
func Start() time.Time { return time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) }

// Event is a good event, changed by the functions.
func Event(change ...func(*event.Event)) event.Event {
	id := uuid.Must(uuid.NewV7()).String()
	e := event.Event{
		ID: id, Time: Start(), Source: "identity", Caller: "gateway", Action: "user.updated", Method: "gatehouse.identity.v1.UserService/UpdateUser",
		Outcome: event.Success, Actor: event.Actor{Type: event.User, ID: "actor", SessionID: "session", ClientID: "gatehouse"},
		OrganizationID: "11111111-2222-4333-8444-555555555555", ObjectType: "user", ObjectID: "object", RequestID: "request", Count: 1,
		Changes: []event.Change{{Field: "user.locale", Value: json.RawMessage(`"de"`)}},
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

// Entry seals an event.
func Entry(t testing.TB, e event.Event) trail.Entry {
	t.Helper()
	sealed, err := e.Seal(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := sealed.Open()
	if err != nil {
		t.Fatal(err)
	}
	return trail.Entry{Event: opened, Sealed: sealed}
}

// Fill stores n events.
func Fill(t testing.TB, s trail.Appender, n int, change ...func(*event.Event)) []trail.Entry {
	t.Helper()
	entries := Entries(t, n, change...)
	Put(t, s, entries)
	return entries
}

// Entries are n events, a second apart.
func Entries(t testing.TB, n int, change ...func(*event.Event)) []trail.Entry {
	t.Helper()
	entries := make([]trail.Entry, n)
	for i := range entries {
		later := func(e *event.Event) { e.Time = Start().Add(time.Duration(i) * time.Second) }
		entries[i] = Entry(t, Event(append([]func(*event.Event){later}, change...)...))
	}
	return entries
}

// Put stores events that are new.
func Put(t testing.TB, s trail.Appender, entries []trail.Entry) {
	t.Helper()
	want(t, s, entries, trail.Kept)
}

// want stores entries and expects one verdict for all.
func want(t testing.TB, s trail.Appender, entries []trail.Entry, verdict trail.Verdict) {
	t.Helper()
	verdicts, err := s.Append(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	if len(verdicts) != len(entries) || slices.ContainsFunc(verdicts, func(v trail.Verdict) bool { return v != verdict }) {
		t.Fatalf("got verdicts %v, want %d of %s", verdicts, len(entries), verdict)
	}
}

// all reads the whole trail by position.
func all(t testing.TB, s trail.Reader) []trail.Stored {
	t.Helper()
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events, _, err := s.Range(t.Context(), trail.Filter{}, 0, head, int(head)+1)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// Run runs the suite; open makes an empty store.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"stores in order and without gaps":          storesInOrder,
		"keeps every event once":                    keepsOnce,
		"an id is taken for good":                   idIsTaken,
		"personal values come back":                 personalValues,
		"concurrent appends leave no gap":           concurrent,
		"nobody sees a position before the earlier": noPositionIsSkipped,
		"a range of one reaches on":                 rangeOfOne,
		"an empty trail":                            empty,
		"searches by names":                         Searches,
		"starts of tails":                           starts,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
	t.Run("filters", func(t *testing.T) {
		t.Parallel()
		filters(t, open(t))
	})
	t.Run("pages", func(t *testing.T) {
		t.Parallel()
		pages(t, open(t))
	})
}

func storesInOrder(t *testing.T, s Store) {
	entries := append(Fill(t, s, 3), Fill(t, s, 2)...)
	for i, got := range all(t, s) {
		if got.Position != int64(i+1) || fmt.Sprint(got.Event) != fmt.Sprint(entries[i].Event) {
			t.Errorf("at %d is %+v, want %+v", i, got, entries[i].Event)
		}
	}
	events, reached, err := s.Range(t.Context(), trail.Filter{}, 1, 4, 2)
	if err != nil || reached != 3 || len(events) != 2 || events[0].Position != 2 || events[1].Position != 3 {
		t.Errorf("a part: %v, %v", events, err)
	}
}

// A look for the events of somebody ends at the limit, whether they match the rest of the filter or
// not, and says how far it came.
func rangeOfOne(t *testing.T, s Store) {
	for _, actor := range []string{"a", "b", "a", "b", "a", "a", "b"} {
		Fill(t, s, 1, func(e *event.Event) { e.Actor.ID = actor })
	}
	for _, c := range []struct {
		filter                        trail.Filter
		after, upTo, reached, matches int64
	}{
		{trail.Filter{ActorID: "a"}, 0, 7, 3, 2},
		{trail.Filter{ActorID: "a"}, 3, 7, 6, 2},
		{trail.Filter{ActorID: "a"}, 6, 7, 7, 0},
		{trail.Filter{ActorID: "a", Action: "x.y"}, 0, 7, 3, 0},
		{trail.Filter{ActorID: "b", ObjectType: "user"}, 2, 5, 5, 1},
		{trail.Filter{ActorID: "b", ObjectID: "object"}, 0, 7, 2, 1},
		{trail.Filter{ActorID: "nobody"}, 0, 7, 7, 0},
	} {
		got, reached, err := s.Range(t.Context(), c.filter, c.after, c.upTo, 2)
		if err != nil || reached != c.reached || int64(len(got)) != c.matches {
			t.Errorf("%+v: reached %d with %v, %v", c, reached, positions(got), err)
		}
	}
}

// R67: at least once becomes exactly once.
func keepsOnce(t *testing.T, s Store) {
	entries := Fill(t, s, 3)
	want(t, s, entries, trail.Known)
	more := Entry(t, Event())
	verdicts, err := s.Append(t.Context(), []trail.Entry{entries[1], more, more, entries[0]})
	if err != nil || !slices.Equal(verdicts, []trail.Verdict{trail.Known, trail.Kept, trail.Known, trail.Known}) {
		t.Fatalf("got %v, %v", verdicts, err)
	}
	if got := all(t, s); len(got) != 4 || got[3].Position != 4 || got[3].Event.ID != more.Event.ID {
		t.Errorf("got %v", got)
	}
}

func idIsTaken(t *testing.T, s Store) {
	first := Fill(t, s, 1)[0]
	other := Entry(t, Event(func(e *event.Event) { e.ID, e.Action = first.Event.ID, "user.deleted" }))
	want(t, s, []trail.Entry{other}, trail.Conflict)
	if got := all(t, s); len(got) != 1 || got[0].Event.Action != "user.updated" {
		t.Errorf("got %v", got)
	}
}

func personalValues(t *testing.T, s Store) {
	personal := func(e *event.Event) {
		e.Changes = append(e.Changes, event.Change{Field: "user.email", Value: json.RawMessage(`"ada@example.com"`), Personal: true})
	}
	Fill(t, s, 1)
	Fill(t, s, 2, personal)
	list, err := s.List(t.Context(), trail.Query{Limit: 10})
	if err != nil || len(list) != 3 {
		t.Fatalf("got %v, %v", list, err)
	}
	for _, got := range append(list, all(t, s)...) {
		if got.Position == 1 {
			continue
		}
		c := got.Event.Changes[1]
		if c.Field != "user.email" || string(c.Value) != `"ada@example.com"` || !c.Personal {
			t.Errorf("position %d: got %+v", got.Position, c)
		}
	}
}

func concurrent(t *testing.T, s Store) {
	const writers, batches = 4, 10
	var shared []trail.Entry
	for range 5 {
		shared = append(shared, Entry(t, Event()))
	}
	var wg sync.WaitGroup
	for range writers {
		var own [][]trail.Entry
		for range batches {
			own = append(own, append([]trail.Entry{Entry(t, Event()), Entry(t, Event())}, shared...))
		}
		wg.Go(func() {
			for _, batch := range own {
				if _, err := s.Append(context.WithoutCancel(t.Context()), batch); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := all(t, s)
	if len(got) != writers*batches*2+len(shared) {
		t.Fatalf("%d events are stored, want %d", len(got), writers*batches*2+len(shared))
	}
	seen := map[string]bool{}
	for i, e := range got {
		if e.Position != int64(i+1) || seen[e.Event.ID] {
			t.Errorf("at %d is position %d, event %s", i, e.Position, e.Event.ID)
		}
		seen[e.Event.ID] = true
	}
}

// noPositionIsSkipped reads by "position > last" while others append, as followers do.
func noPositionIsSkipped(t *testing.T, s Store) {
	const writers, each = 4, 25
	var wg sync.WaitGroup
	for range writers {
		own := make([]trail.Entry, each)
		for i := range own {
			own[i] = Entry(t, Event())
		}
		wg.Go(func() {
			for _, e := range own {
				if _, err := s.Append(context.WithoutCancel(t.Context()), []trail.Entry{e}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	defer wg.Wait()
	for last := int64(0); last < writers*each && t.Context().Err() == nil && !t.Failed(); {
		head, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		events, _, err := s.Range(t.Context(), trail.Filter{}, last, head, writers*each)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(events)) != head-last {
			t.Fatalf("%d events between %d and %d", len(events), last, head)
		}
		last = head
	}
}

func empty(t *testing.T, s Store) {
	head, err := s.Head(t.Context())
	if err != nil || head != 0 {
		t.Errorf("head is %d, %v", head, err)
	}
	list, err := s.List(t.Context(), trail.Query{Limit: 10})
	if err != nil || len(list) != 0 {
		t.Errorf("got %v, %v", list, err)
	}
	if verdicts, err := s.Append(t.Context(), nil); err != nil || len(verdicts) != 0 {
		t.Errorf("got %v, %v", verdicts, err)
	}
}
