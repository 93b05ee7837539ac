package trailtest

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Named gives an event personal values, as names and values in turn.
func Named(namesAndValues ...string) func(*event.Event) {
	return func(e *event.Event) { e.Changes = append(e.Changes, event.PersonalTexts(namesAndValues...)...) }
}

// Searches compares what a search finds with what Filter.Matches says, before names are brought in,
// when some are, and afterwards.
func Searches(t *testing.T, s Store) {
	t.Helper()
	nameVariety(t, s)
	t.Run("none brought in", func(t *testing.T) { compareSearches(t, s) })
	bring(t, s)
	nameVariety(t, s)
	t.Run("some brought in", func(t *testing.T) { compareSearches(t, s) })
	bring(t, s)
	t.Run("all brought in", func(t *testing.T) { compareSearches(t, s) })
}

func bring(t *testing.T, s Store) {
	t.Helper()
	if err := s.BringNames(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func nameVariety(t *testing.T, s Store) {
	t.Helper()
	for _, change := range []func(*event.Event){
		Named("user.email", "ada.lovelace@example.com", "user.display_name", "Ada Lovelace"),
		Named("user.display_name", "Adam Ant"),
		Named("organization.display_name", "Lovelace & Söhne"),
		func(e *event.Event) { e.ClientAgent, e.ClientAddress = "Adagent/1.0", "192.0.2.1" },
		func(e *event.Event) {
			e.Changes = append(e.Changes, event.Change{Field: "list", Value: json.RawMessage(`["ada"]`), Personal: true})
		},
		func(e *event.Event) {
			e.Changes = []event.Change{{Field: "user.locale", Value: json.RawMessage(`"ada"`)}}
		},
		func(e *event.Event) {
			e.Actor.ID, e.ObjectID, e.OrganizationID, e.Action = "other", "other", "", "user.deleted"
			Named("user.email", "ada@example.org")(e)
		},
		func(e *event.Event) {
			e.Time = Start().Add(time.Hour)
			Named("user.email", "ada@example.net")(e)
		},
	} {
		Fill(t, s, 2, change)
	}
}

func compareSearches(t *testing.T, s Store) {
	t.Helper()
	stored := all(t, s)
	for text, found := range map[string]bool{
		"ada": true, "ADA": true, "ad": true, "ada.lovelace@example.com": true, "example.com": true, "lovelace": true, "ada love": true, "söhne": true,
		"sohne love": true, "ada ant": true, "da": false, "com": false, "adagent": false, "192": false, "ada\U0010ffff": true, "nobody": false,
	} {
		for name, f := range map[string]trail.Filter{
			"all": {}, "actor": {ActorID: "other"}, "by actor": {ActorID: "actor", By: trail.ByActor}, "by object": {ObjectID: "object", Action: "user.updated", By: trail.ByObject},
			"organization":    {OrganizationID: Event().OrganizationID},
			"by organization": {OrganizationID: Event().OrganizationID, ActorID: "actor", By: trail.ByOrganization},
			"action":          {Action: "user.deleted"},
			"between":         {Since: Start().Add(time.Second), Until: Start().Add(time.Hour + time.Second)},
		} {
			f.Search = trail.Terms(text)
			var expected []trail.Stored
			for _, e := range stored {
				if f.Matches(e) {
					expected = append(expected, e)
				}
			}
			if name == "all" && (len(expected) > 0) != found {
				t.Errorf("%q matches %d events", text, len(expected))
			}
			newestFirst(expected)
			if got := searchPages(t, s, f, 3); !slices.Equal(positions(got), positions(expected)) {
				t.Errorf("%s %q: got %v, want %v", name, text, positions(got), positions(expected))
			}
			ranged, _, err := s.Range(t.Context(), f, 0, int64(len(stored)), len(stored))
			if err != nil || len(ranged) != len(expected) {
				t.Errorf("range %s %q: got %v, %v; want %d events", name, text, positions(ranged), err, len(expected))
			}
		}
	}
}

// searchPages is a search, page by page.
func searchPages(t *testing.T, s Store, f trail.Filter, limit int) (got []trail.Stored) {
	t.Helper()
	for q := (trail.Query{Filter: f, Limit: limit}); ; {
		page, next, err := s.Search(t.Context(), q)
		if err != nil || len(page) > limit {
			t.Fatalf("%d events, %v", len(page), err)
		}
		got = append(got, page...)
		if next == nil {
			return got
		}
		q.Before = next
	}
}

// starts looks for the beginnings of a tail in a trail of which some arrived late.
func starts(t *testing.T, s Store) {
	begin := Start().AddDate(-10, 0, 0)
	for i := range 6 {
		at := begin.Add(time.Duration(i) * time.Minute)
		Fill(t, s, 500, func(e *event.Event) { e.Time = at.Add(time.Duration(len(e.ID)) * time.Millisecond) })
		Fill(t, s, 3, func(e *event.Event) { e.Time = begin.Add(-time.Hour); e.RequestID = "late" + strconv.Itoa(i) })
		bring(t, s)
	}
	Fill(t, s, 500, func(e *event.Event) { e.Time = begin.Add(time.Hour) }) // without a mark
	stored := all(t, s)
	for at := -2 * time.Hour; at < 2*time.Hour; at += 20 * time.Second {
		since := begin.Add(at)
		start, err := s.Start(t.Context(), since)
		if err != nil || start < 0 || start > int64(len(stored)) {
			t.Fatalf("%s: position %d, %v", since, start, err)
		}
		first := slices.IndexFunc(stored, func(e trail.Stored) bool { return !e.Event.Time.Before(since) })
		if first < 0 {
			first = len(stored)
		}
		if start > int64(first) || int64(first)-start > 2100 {
			t.Errorf("%s: from %d on, where the first is at %d", since, start, first+1)
		}
	}
}
