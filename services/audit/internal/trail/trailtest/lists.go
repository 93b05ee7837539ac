package trailtest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// spelled is an id of an event from before ids had one form; filters name it in that form.
const spelled = "AAAAAAAA-2222-4333-8444-555555555555"

// filters compares what the store selects with what Filter.Matches says, for lists and ranges.
func filters(t *testing.T, s Store) {
	for _, change := range variety() {
		Fill(t, s, 2, change)
	}
	stored := all(t, s)
	for name, f := range map[string]trail.Filter{
		"none":           {},
		"actor":          {ActorID: "other"},
		"object":         {ObjectID: "other"},
		"actor's UUID":   {ActorID: strings.ToLower(spelled)},
		"object's UUID":  {ObjectID: strings.ToLower(spelled)},
		"object type":    {ObjectType: "organization"},
		"both of object": {ObjectType: "user", ObjectID: "object"},
		"organization":   {OrganizationID: "99999999-2222-4333-8444-555555555555"},
		"action":         {Action: "user.deleted"},
		"success":        {Outcome: event.Success},
		"failure":        {Outcome: event.Failure},
		"denied":         {Outcome: event.Denied},
		"request":        {RequestID: "other"},
		"since":          {Since: Start().Add(time.Hour)},
		"until":          {Until: Start().Add(time.Hour)},
		"since, until":   {Since: Start().Add(time.Hour), Until: Start().Add(time.Hour + time.Microsecond)},
		"by actor": {
			By: trail.ByActor, ActorID: "actor", ObjectID: "object", Since: Start().Add(-time.Hour), Until: Start().Add(time.Hour),
		},
		"by object":       {By: trail.ByObject, ActorID: "actor", ObjectID: "object", Action: "user.updated"},
		"by organization": {By: trail.ByOrganization, OrganizationID: "99999999-2222-4333-8444-555555555555", Outcome: event.Success},
		"several":         {ActorID: "actor", Action: "user.updated", Outcome: event.Success, Until: Start().Add(time.Second)},
		"nothing":         {ActorID: "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			var expected []trail.Stored
			for _, e := range stored {
				if f.Matches(e) {
					expected = append(expected, e)
				}
			}
			if (len(expected) == 0) != (name == "nothing") {
				t.Fatalf("%d events match", len(expected))
			}
			got, reached, err := s.Range(t.Context(), f, 0, int64(len(stored)), len(stored))
			if err != nil || reached != int64(len(stored)) || !slices.Equal(positions(got), positions(expected)) {
				t.Errorf("range: got %v, %v; want %v", positions(got), err, positions(expected))
			}
			newestFirst(expected)
			got, err = s.List(t.Context(), trail.Query{Filter: f, Limit: len(stored)})
			if err != nil || !slices.Equal(positions(got), positions(expected)) {
				t.Errorf("list: got %v, %v; want %v", positions(got), err, positions(expected))
			}
		})
	}
}

// variety are changes to an event, of which each filter finds some.
func variety() []func(*event.Event) {
	return []func(*event.Event){
		func(*event.Event) {},
		func(e *event.Event) { e.Actor.ID = "other" },
		func(e *event.Event) { e.Actor = event.Actor{Type: event.Anonymous} },
		func(e *event.Event) { e.ObjectID = "other" },
		func(e *event.Event) { e.Actor.ID, e.ObjectID = spelled, spelled },
		func(e *event.Event) { e.ObjectID, e.ObjectType = "", "" },
		func(e *event.Event) { e.ObjectType = "organization" },
		func(e *event.Event) { e.OrganizationID = "99999999-2222-4333-8444-555555555555" },
		func(e *event.Event) { e.OrganizationID = "" },
		func(e *event.Event) { e.Action = "user.deleted" },
		func(e *event.Event) { e.Outcome, e.Reason = event.Denied, "PERMISSION_DENIED" },
		func(e *event.Event) { e.Outcome, e.Reason = event.Failure, "WRONG_PASSWORD" },
		func(e *event.Event) { e.RequestID = "other" },
		func(e *event.Event) { e.RequestID = "" },
		func(e *event.Event) { e.Time = Start().Add(time.Hour) },
		func(e *event.Event) { e.Time = Start().Add(time.Hour + time.Microsecond) },
	}
}

// pages reads a list page by page, of events of which several happened at the same time and some arrived late.
func pages(t *testing.T, s Store) {
	Fill(t, s, 7)
	Fill(t, s, 7)
	Fill(t, s, 3, func(e *event.Event) { e.Time = Start().Add(-time.Hour) })
	expected := all(t, s)
	newestFirst(expected)
	var got []trail.Stored
	for q := (trail.Query{Limit: 4}); ; {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page...)
		if len(page) < q.Limit {
			break
		}
		last := page[len(page)-1]
		q.Before = &trail.Cursor{Time: last.Event.Time, Position: last.Position}
	}
	if !slices.Equal(positions(got), positions(expected)) {
		t.Errorf("got %v, want %v", positions(got), positions(expected))
	}
}

func newestFirst(events []trail.Stored) {
	slices.SortFunc(events, func(a, b trail.Stored) int {
		if c := b.Event.Time.Compare(a.Event.Time); c != 0 {
			return c
		}
		return int(b.Position - a.Position)
	})
}

func positions(events []trail.Stored) []int64 {
	at := make([]int64, 0, len(events))
	for _, e := range events {
		at = append(at, e.Position)
	}
	return at
}
