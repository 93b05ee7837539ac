package postgres_test

import (
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// The session of what a person did goes with the person, from every column of every table; the
// events stay good, and those of others keep theirs.
func TestErasureTakesTheSession(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	in := func(actor, session string) trail.Entry {
		return trailtest.Entry(t, trailtest.Event(func(e *event.Event) {
			e.Time, e.OrganizationID, e.ObjectID = time.Now(), acme, ada
			e.Actor = event.Actor{Type: event.User, ID: actor, SessionID: session}
		}))
	}
	kept(t, k.store, []trail.Entry{in(ada, "session-of-ada"), in(grace, "session-of-grace")}, trail.Kept)
	if places := everywhere(t, k, []string{"session-of-ada"}); len(places) != 1 {
		t.Fatalf("it stands in %v", places)
	}
	_, err := k.upkeep.Erase(t.Context(), postgres.Erasure{UserID: ada, Reason: "she asked for it"})
	check.NoError(t, err)
	if places := everywhere(t, k, []string{"session-of-ada"}); len(places) > 0 {
		t.Errorf("left are %v", places)
	}
	list, err := k.store.List(t.Context(), trail.Query{Limit: 2}) // opens each, against its hashes
	check.NoError(t, err)
	if len(list) != 2 {
		t.Fatalf("%d events", len(list))
	}
	for _, s := range list {
		if want := map[string]string{ada: "", grace: "session-of-grace"}[s.Event.Actor.ID]; s.Event.Actor.SessionID != want {
			t.Errorf("%s did it in the session %q, want %q", s.Event.Actor.ID, s.Event.Actor.SessionID, want)
		}
	}
}
