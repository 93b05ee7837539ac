package usertest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

const claim = 10 * time.Second

// invited stores a user whose invitation is due at the epoch.
func (f fixture) invited(t *testing.T, organizationID string) user.User {
	t.Helper()
	u := newUser(organizationID)
	u.State, u.Locale = user.Invited, "de"
	c := user.NewCreation(f.event(), u, nil)
	c.InvitationDue = epoch()
	stored, _, err := f.Users.Store.Create(f.ctx, c)
	check.NoError(t, err)
	if stored != u {
		t.Fatalf("stored %+v, want %+v", stored, u)
	}
	return u
}

// due claims the invitation that is due at a time; its user is "" when none is.
func (f fixture) due(t *testing.T, at time.Time) user.Invitation {
	t.Helper()
	i, _, err := f.Invitations.ClaimInvitation(f.ctx, at, at.Add(claim))
	check.NoError(t, err)
	return i
}

func (f fixture) told(user.User) event.Event { return f.event() }

func invitationOf(u user.User, revision int64) user.Invitation {
	return user.Invitation{
		OrganizationID: u.OrganizationID, UserID: u.ID, Email: u.Email, DisplayName: u.DisplayName, Locale: u.Locale, Revision: revision,
	}
}

// Authz is to be told of who is invited, from the moment when the invitation is due, and of the
// acceptance instead once there is one; nobody is told of who is cancelled.
func testInvitationStanding(t *testing.T, f fixture) {
	o := f.organization(t).ID
	u := f.invited(t, o)
	invited := user.Standing{UserID: u.ID, Suspended: true, Revision: u.Revision, Invitation: true}
	f.wantStanding(t, epoch().Add(-time.Microsecond), user.Standing{})
	f.wantStanding(t, epoch(), invited)
	at := epoch().Add(time.Hour)
	active, _, err := f.Invitations.Activate(f.ctx, u.ID, at, f.told)
	check.NoError(t, err)
	f.wantStanding(t, at.Add(-time.Microsecond), user.Standing{})
	check.NoError(t, f.Standings.FinishStanding(f.ctx, invited)) // late
	accepted := user.Standing{UserID: u.ID, Revision: active.Revision, Invitation: true}
	f.wantStanding(t, at, accepted)
	check.NoError(t, f.Standings.FinishStanding(f.ctx, accepted))
	_, _, err = f.Invitations.Activate(f.ctx, u.ID, at, f.told)
	check.NoError(t, err)
	f.wantStanding(t, at.Add(time.Hour), user.Standing{})
	f.suspended(t, active, at) // as if nobody had ever been invited
	f.begin(t, active)
	f.begin(t, f.invited(t, o))
	f.wantStanding(t, at.Add(time.Hour), user.Standing{})
}

// An invitation is due again until Auth knows of it; other users have none.
func testInvitationDue(t *testing.T, f fixture) {
	o := f.organization(t).ID
	f.stored(t, o)
	u := f.invited(t, o)
	f.wantStored(t, u)
	if i := f.due(t, epoch().Add(-time.Second)); i.UserID != "" {
		t.Errorf("due too early: %+v", i)
	}
	for _, at := range []time.Time{epoch(), epoch().Add(claim)} {
		if i := f.due(t, at); i != invitationOf(u, 1) {
			t.Errorf("due is %+v, want that of %+v", i, u)
		}
	}
	check.NoError(t, f.Invitations.Invited(f.ctx, invitationOf(u, 1)))
	if i := f.due(t, epoch().Add(time.Hour)); i.UserID != "" {
		t.Errorf("due although Auth knows: %+v", i)
	}
}

// Sending again is another revision: that Auth knows of the older one says nothing of it. Only
// invited users of the scope have one.
func testInvitationRenewed(t *testing.T, f fixture) {
	o := f.organization(t).ID
	u := f.invited(t, o)
	got, i, err := f.Invitations.Renew(f.ctx, user.In(o), u.ID, epoch(), f.told)
	if err != nil || got != u || i != invitationOf(u, 2) {
		t.Fatalf("renewed %+v, %+v, %v", got, i, err)
	}
	check.NoError(t, f.Invitations.Invited(f.ctx, invitationOf(u, 1)))
	if i := f.due(t, epoch()); i.Revision != 2 {
		t.Errorf("due is %+v", i)
	}
	active, gone := f.stored(t, o), f.invited(t, o)
	f.begin(t, gone)
	for id, want := range map[string]error{active.ID: user.NotInvited(), gone.ID: user.NotFound(), uuid.NewString(): user.NotFound()} {
		_, _, err := f.Invitations.Renew(f.ctx, user.In(o), id, epoch(), f.told)
		wantError(t, err, want)
	}
	_, _, err = f.Invitations.Renew(f.ctx, user.In(f.organization(t).ID), u.ID, epoch(), f.told) // R52
	wantError(t, err, user.NotFound())
	if i := f.due(t, epoch().Add(time.Hour)); i.UserID != u.ID { // not the one that is being deleted
		t.Errorf("due is %+v", i)
	}
}

func testInvitationClaimed(t *testing.T, f fixture) {
	o := f.organization(t).ID
	const invitations = 12
	for range invitations {
		f.invited(t, o)
	}
	var mutex sync.Mutex
	claimed := map[string]int{}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for {
				i, found, err := f.Invitations.ClaimInvitation(f.ctx, epoch(), epoch().Add(claim))
				if err != nil || !found {
					if err != nil {
						t.Error(err)
					}
					return
				}
				mutex.Lock()
				claimed[i.UserID]++
				mutex.Unlock()
			}
		})
	}
	wait.Wait()
	for id, n := range claimed {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
	if len(claimed) == 0 {
		t.Error("nothing was claimed")
	}
}

// Activating is once: the tag changes, what is active or suspended stays as it is, nobody comes
// back.
func testActivate(t *testing.T, f fixture) {
	o := f.organization(t).ID
	u := f.invited(t, o)
	at := epoch().Add(time.Hour)
	got, token, err := f.Invitations.Activate(f.ctx, u.ID, at, f.told)
	check.NoError(t, err)
	want := u
	want.State, want.EmailVerified, want.Revision, want.UpdateTime = user.Active, true, u.Revision+1, at
	if got != want || token == "" || got.ETag() == u.ETag() {
		t.Errorf("activated %+v with token %q, want %+v", got, token, want)
	}
	f.wantStored(t, want)
	if i := f.due(t, at); i.UserID != "" {
		t.Errorf("still due: %+v", i)
	}
	suspended := f.stored(t, o, func(u *user.User) { u.State = user.Suspended })
	for _, u := range []user.User{want, suspended} {
		again, token, err := f.Invitations.Activate(f.ctx, u.ID, at.Add(time.Hour), f.told)
		if err != nil || again != u || token == "" {
			t.Errorf("again: %+v with token %q, %v; want %+v", again, token, err, u)
		}
	}
	gone := f.invited(t, o)
	f.begin(t, gone)
	for _, id := range []string{gone.ID, uuid.NewString()} {
		_, _, err := f.Invitations.Activate(f.ctx, id, at, f.told)
		wantError(t, err, user.NotFound())
	}
	f.wantGone(t, gone)
}

// An acceptance beside a cancellation: one of them happens.
func testActivateBesideDeletion(t *testing.T, f fixture) {
	o := f.organization(t).ID
	for range 20 {
		u := f.invited(t, o)
		var activated, cancelled error
		changed := errors.New("another tag")
		var wait sync.WaitGroup
		wait.Go(func() { _, _, activated = f.Invitations.Activate(f.ctx, u.ID, epoch(), f.told) })
		wait.Go(func() {
			_, _, cancelled = f.Deletions.BeginDelete(f.ctx, user.In(o), u.ID, epoch(), func(now user.User, _ bool) error {
				if now.ETag() != u.ETag() {
					return changed
				}
				return nil
			})
		})
		wait.Wait()
		switch {
		case activated == nil && errors.Is(cancelled, changed):
		case cancelled == nil && errors.Is(activated, user.NotFound()):
		default:
			t.Fatalf("activated: %v, cancelled: %v", activated, cancelled)
		}
	}
}
