package usertest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// suspended suspends a user, due at a time.
func (f fixture) suspended(t *testing.T, u user.User, due time.Time) user.Standing {
	t.Helper()
	_, told, open, err := f.Standings.SetStanding(f.ctx, user.In(u.OrganizationID), u.ID, due, func(u user.User, _ bool) (user.User, event.Event, error) {
		u.State, u.Revision, u.UpdateTime = user.Suspended, u.Revision+1, u.UpdateTime.Add(time.Second)
		return u, user.Updated(f.event(), u), nil
	})
	check.NoError(t, err)
	if want := (user.Standing{UserID: u.ID, Suspended: true, Revision: u.Revision + 1}); !open || told != want {
		t.Fatalf("to be told: %+v (%t), want %+v", told, open, want)
	}
	u.State, u.Revision, u.UpdateTime = user.Suspended, u.Revision+1, u.UpdateTime.Add(time.Second)
	f.wantStored(t, u)
	return told
}

// wantStanding claims at now, for a minute, and expects this user's standing or none.
func (f fixture) wantStanding(t *testing.T, now time.Time, want user.Standing) {
	t.Helper()
	told, found, err := f.Standings.ClaimStanding(f.ctx, now, now.Add(time.Minute))
	check.NoError(t, err)
	if told != want || found != (want.UserID != "") {
		t.Fatalf("claimed %+v (%t), want %+v", told, found, want)
	}
}

// A standing is told until it was, by one at a time, the one that is due the longest first.
func testStandings(t *testing.T, f fixture) {
	first, second := f.personal(t), f.stored(t, f.organization(t).ID)
	late := f.suspended(t, first, epoch().Add(time.Second))
	early := f.suspended(t, second, epoch())
	f.wantStanding(t, epoch().Add(-time.Microsecond), user.Standing{})
	now := epoch().Add(2 * time.Second)
	f.wantStanding(t, now, early)
	f.wantStanding(t, now, late)
	f.wantStanding(t, now, user.Standing{})
	check.NoError(t, f.Standings.FinishStanding(f.ctx, early))
	check.NoError(t, f.Standings.FinishStanding(f.ctx, early))
	f.wantStanding(t, now.Add(time.Minute), late) // whoever claimed it died
	again := late
	again.Revision--
	check.NoError(t, f.Standings.FinishStanding(f.ctx, again)) // of before: there is a later one
	f.wantStanding(t, now.Add(2*time.Minute), late)
}

// What decide refuses, or leaves as it is, changes nothing; what is to be told since before is told
// again.
func testStandingsUnchanged(t *testing.T, f fixture) {
	u, guest := f.personal(t), f.stored(t, f.organization(t).ID)
	set := func(u user.User, err error) (told user.Standing, open bool) {
		t.Helper()
		_, told, open, got := f.Standings.SetStanding(f.ctx, user.In(u.OrganizationID), u.ID, epoch().Add(time.Hour), func(current user.User, alone bool) (user.User, event.Event, error) {
			if current.ID != u.ID || alone != (u.ID != guest.ID) {
				t.Errorf("shown %+v, alone: %t", current, alone)
			}
			return current, event.Event{}, err
		})
		if !errors.Is(got, err) {
			t.Errorf("got %v, want %v", got, err)
		}
		return told, open
	}
	for _, of := range []user.User{u, guest} {
		if told, open := set(of, nil); open {
			t.Errorf("to be told: %+v", told)
		}
		if told, open := set(of, user.NotFound()); open {
			t.Errorf("to be told: %+v", told)
		}
		f.wantStored(t, of)
	}
	f.wantStanding(t, epoch().Add(time.Hour), user.Standing{})
	want := f.suspended(t, u, epoch())
	if told, open := set(u, nil); !open || told != want {
		t.Errorf("to be told again: %+v (%t), want %+v", told, open, want)
	}
	f.wantStanding(t, epoch().Add(time.Minute), user.Standing{}) // whoever repeats it has it
	_, _, _, err := f.Standings.SetStanding(f.ctx, user.In(guest.OrganizationID), u.ID, epoch(), func(u user.User, _ bool) (user.User, event.Event, error) {
		return u, event.Event{}, nil
	})
	wantError(t, err, user.NotFound())
}

// Nobody is told of a user whose deletion has begun.
func testStandingsOfDeletions(t *testing.T, f fixture) {
	u := f.personal(t)
	f.suspended(t, u, epoch())
	d := f.begin(t, u)
	f.wantStanding(t, epoch(), user.Standing{})
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, d, epoch()))
	f.wantNoOrganization(t, u.OrganizationID)
}

func testStandingsConcurrently(t *testing.T, f fixture) {
	const users, callers = 5, 8
	for range users {
		f.suspended(t, f.personal(t), epoch())
	}
	var (
		wait    sync.WaitGroup
		mutex   sync.Mutex
		claimed = map[string]int{}
	)
	for range callers {
		wait.Go(func() {
			for range users {
				told, found, err := f.Standings.ClaimStanding(f.ctx, epoch(), epoch().Add(time.Minute))
				if err != nil {
					t.Error(err)
				}
				if found {
					mutex.Lock()
					claimed[told.UserID]++
					mutex.Unlock()
				}
			}
		})
	}
	wait.Wait()
	for id, times := range claimed {
		if times != 1 {
			t.Errorf("the standing of %s was claimed %d times", id, times)
		}
	}
	if len(claimed) != users {
		t.Errorf("%d of %d standings were claimed", len(claimed), users)
	}
}
