package trail_test

import (
	"context"
	"slices"
	"testing"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// What will never be accepted is rejected by its place in the batch, whoever is between.
func TestAcceptAndSettle(t *testing.T) {
	good := trailtest.Entry(t, trailtest.Event()).Sealed
	foreign := trailtest.Entry(t, trailtest.Event(func(e *event.Event) { e.Source, e.Caller = "authz", "authz" })).Sealed
	stripped := trailtest.Entry(t, trailtest.Event(func(e *event.Event) {
		e.Changes = []event.Change{{Field: "email", Value: []byte(`"a@example.com"`), Personal: true}}
	})).Sealed
	stripped.Personal = nil
	source := trailtest.Event().Source
	in := trail.Accept(source, []event.Sealed{good, {Canonical: []byte("nonsense")}, foreign, stripped, good})
	if len(in.Entries) != 2 {
		t.Fatalf("%d entries are accepted, want the first and the last", len(in.Entries))
	}
	var got []string
	for _, r := range in.Settle([]trail.Verdict{trail.Kept, trail.Conflict}) {
		got = append(got, r.Reason+" "+string(rune('0'+r.Index)))
		if r.Message == "" {
			t.Errorf("rejection %d says nothing", r.Index)
		}
	}
	if want := []string{"INVALID_EVENT 1", "SOURCE_MISMATCH 2", "INVALID_EVENT 3", "EVENT_ID_TAKEN 4"}; !slices.Equal(got, want) {
		t.Errorf("rejected %q, want %q", got, want)
	}
}

func TestVerdictsHaveNames(t *testing.T) {
	for v, want := range map[trail.Verdict]string{trail.Kept: "kept", trail.Known: "known", trail.Conflict: "conflict", 0: "none"} {
		if v.String() != want {
			t.Errorf("verdict %d is %q, want %q", v, v, want)
		}
	}
}

// lister is a store of so many events that remembers what it was asked.
type lister struct {
	trail.Lister

	events int
	asked  trail.Query
}

func (l *lister) List(_ context.Context, q trail.Query) ([]trail.Stored, error) {
	l.asked = q
	all := make([]trail.Stored, l.events)
	for i := range all {
		all[i].Position = int64(l.events - i)
	}
	return all[:min(l.events, q.Limit)], nil
}

// A page says whether there is a next one, and where that begins.
func TestPagesOfTheTrail(t *testing.T) {
	for _, c := range []struct{ limit, stored, page, asked int }{
		{0, 60, trail.DefaultLimit, trail.DefaultLimit + 1}, {5000, 10, 10, trail.MaxLimit + 1}, {10, 10, 10, 11}, {10, 11, 10, 11},
	} {
		store := &lister{events: c.stored}
		events, next, err := trail.NewService(trail.Params{Lister: store}).List(t.Context(), trail.Query{Limit: c.limit})
		if err != nil || len(events) != c.page || store.asked.Limit != c.asked {
			t.Errorf("limit %d of %d: a page of %d, %d asked for, %v", c.limit, c.stored, len(events), store.asked.Limit, err)
		}
		if more := c.stored > c.page; more != (next != nil) || more && next.Position != events[c.page-1].Position {
			t.Errorf("limit %d of %d: the next page begins at %+v", c.limit, c.stored, next)
		}
	}
}
