package usertest

import (
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

func anyUser(user.User, bool) error { return nil }

// begin makes the user Deleting, due at epoch.
func (f fixture) begin(t *testing.T, u user.User) user.Deletion {
	t.Helper()
	return f.beginUntil(t, u, epoch(), anyUser)
}

// beginUntil makes the user Deleting, due at a time.
func (f fixture) beginUntil(t *testing.T, u user.User, due time.Time, admit func(user.User, bool) error) user.Deletion {
	t.Helper()
	d, token, err := f.Deletions.BeginDelete(f.ctx, user.In(u.OrganizationID), u.ID, due, admit)
	check.NoError(t, err)
	if d != (user.Deletion{OrganizationID: u.OrganizationID, UserID: u.ID}) || token == "" {
		t.Fatalf("got %+v with token %q for %+v", d, token, u)
	}
	return d
}

func testBeginDelete(t *testing.T, f fixture) {
	u := f.personal(t)
	f.begin(t, u)
	f.wantGone(t, u)
	_, err := f.Users.Update(f.ctx, user.In(u.OrganizationID), u.ID, func(u user.User) (user.User, error) { return u, nil })
	wantError(t, err, user.NotFound())
	again, _, err := f.Users.Create(f.ctx, u, nil)
	check.NoError(t, err)
	if again.State != user.Deleting || again.ID != u.ID {
		t.Fatalf("creating it again returned %+v, want the user that is being deleted", again)
	}
}

func testBeginDeleteRefused(t *testing.T, f fixture) {
	u := f.personal(t)
	refusal := apierr.New(apierr.Aborted, "REFUSED", "no")
	_, _, err := f.Deletions.BeginDelete(f.ctx, user.In(u.OrganizationID), u.ID, epoch(), func(shown user.User, _ bool) error {
		if shown != u {
			t.Errorf("shown %+v, want %+v", shown, u)
		}
		return refusal
	})
	wantError(t, err, refusal)
	f.wantStored(t, u)
}

func testBeginDeleteAgain(t *testing.T, f fixture) {
	u := f.personal(t)
	f.begin(t, u)
	later := epoch().Add(time.Minute)
	f.beginUntil(t, u, later, func(shown user.User, _ bool) error {
		if shown.State != user.Deleting {
			t.Errorf("shown state %q, want deleting", shown.State)
		}
		return nil
	})
	f.wantClaim(t, later.Add(-time.Microsecond), nil)
	f.wantClaim(t, later, &u)
}

// wantClaim claims at now, for a minute, and expects this user's deletion or none.
func (f fixture) wantClaim(t *testing.T, now time.Time, want *user.User) {
	t.Helper()
	d, found, err := f.Deletions.ClaimDeletion(f.ctx, now, now.Add(time.Minute))
	check.NoError(t, err)
	switch {
	case want == nil && found:
		t.Fatalf("claimed %+v, want none", d)
	case want != nil && (!found || d != user.Deletion{OrganizationID: want.OrganizationID, UserID: want.ID}):
		t.Fatalf("claimed %+v (%v), want user %s", d, found, want.ID)
	}
}

func testClaim(t *testing.T, f fixture) {
	f.personal(t) // an active user is never claimed
	f.wantClaim(t, epoch(), nil)
	second, first := f.personal(t), f.personal(t)
	f.beginUntil(t, second, epoch().Add(2*time.Second), anyUser)
	f.beginUntil(t, first, epoch().Add(time.Second), anyUser)
	f.wantClaim(t, epoch(), nil)
	now := epoch().Add(3 * time.Second)
	f.wantClaim(t, now, &first)
	f.wantClaim(t, now, &second)
	f.wantClaim(t, now, nil)
	f.wantClaim(t, now.Add(time.Minute), &first) // whoever claimed it died
}

func testClaimConcurrently(t *testing.T, f fixture) {
	const deletions, callers = 5, 8
	for range deletions {
		f.begin(t, f.personal(t))
	}
	var (
		wait    sync.WaitGroup
		mutex   sync.Mutex
		claimed = map[string]int{}
	)
	for range callers {
		wait.Go(func() {
			for range deletions {
				d, found, err := f.Deletions.ClaimDeletion(f.ctx, epoch(), epoch().Add(time.Minute))
				if err != nil {
					t.Error(err)
				}
				if found {
					mutex.Lock()
					claimed[d.UserID]++
					mutex.Unlock()
				}
			}
		})
	}
	wait.Wait()
	if len(claimed) != deletions {
		t.Errorf("%d of %d deletions were claimed", len(claimed), deletions)
	}
	for id, times := range claimed {
		if times != 1 {
			t.Errorf("the deletion of %s was claimed %d times", id, times)
		}
	}
}

func testFinishDelete(t *testing.T, f fixture) {
	u, bystander := f.personal(t), f.personal(t)
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, f.begin(t, u), epoch()))
	f.wantNoOrganization(t, u.OrganizationID)
	f.wantClaim(t, epoch().Add(time.Hour), nil)
	f.wantStored(t, bystander)
	_, err := f.Organizations.Get(f.ctx, bystander.OrganizationID)
	check.NoError(t, err)
}

func (f fixture) wantNoOrganization(t *testing.T, id string) {
	t.Helper()
	_, err := f.Organizations.Get(f.ctx, id)
	wantError(t, err, organization.NotFound())
}

func testFinishDeleteShared(t *testing.T, f fixture) {
	o := f.organization(t)
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, f.begin(t, f.stored(t, o.ID)), epoch()))
	_, err := f.Organizations.Get(f.ctx, o.ID)
	check.NoError(t, err)
}

func testFinishDeletePersonalWithMembers(t *testing.T, f fixture) {
	owner := f.personal(t)
	active := f.stored(t, owner.OrganizationID)
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, f.begin(t, owner), epoch()))
	f.wantStored(t, active)
	// Also a member that is still being deleted keeps the organization, and takes it along in the end.
	last := f.begin(t, active)
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, user.Deletion{OrganizationID: owner.OrganizationID, UserID: owner.ID}, epoch()))
	_, err := f.Organizations.Get(f.ctx, owner.OrganizationID)
	check.NoError(t, err)
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, last, epoch()))
	f.wantNoOrganization(t, owner.OrganizationID)
}

// Of users that leave at the same time one is the last and takes the personal organization along.
func testFinishDeleteTogether(t *testing.T, f fixture) {
	for range 20 {
		owner := f.personal(t)
		users := []user.User{owner}
		for range 3 {
			users = append(users, f.stored(t, owner.OrganizationID))
		}
		var deletions []user.Deletion
		for _, u := range users {
			deletions = append(deletions, f.begin(t, u))
		}
		var wait sync.WaitGroup
		for _, d := range deletions {
			wait.Go(func() {
				if err := f.Deletions.FinishDelete(f.ctx, d, epoch()); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		f.wantNoOrganization(t, owner.OrganizationID)
	}
}

// The last user of a personal organization leaves while another joins: either the organization is
// said to go too, and does, or somebody has joined and it stays. Nobody is left in an organization
// that has lost its owner unasked (R89).
func testFinishDeleteConcurrently(t *testing.T, f fixture) {
	for range 10 {
		owner := f.personal(t)
		joining := newUser(owner.OrganizationID)
		var (
			wait      sync.WaitGroup
			joinError error
			goes      bool
		)
		wait.Go(func() {
			d, _, err := f.Deletions.BeginDelete(f.ctx, user.In(owner.OrganizationID), owner.ID, epoch(), func(_ user.User, ends bool) error {
				goes = ends
				return nil
			})
			if err == nil {
				err = f.Deletions.FinishDelete(f.ctx, d, epoch())
			}
			if err != nil {
				t.Error(err)
			}
		})
		wait.Go(func() { _, _, joinError = f.Users.Create(f.ctx, joining, nil) })
		wait.Wait()
		if goes {
			wantError(t, joinError, organization.NotFound())
			f.wantNoOrganization(t, owner.OrganizationID)
			continue
		}
		check.NoError(t, joinError)
		f.wantStored(t, joining)
		_, err := f.Organizations.Get(f.ctx, owner.OrganizationID)
		check.NoError(t, err)
	}
}

// Whether the organization goes with a user: only a personal one, with its last active user; from
// then on nobody joins it.
func testBeginDeleteOfTheLast(t *testing.T, f fixture) {
	owner := f.personal(t)
	guest := f.stored(t, owner.OrganizationID)
	shared := f.stored(t, f.organization(t).ID)
	for _, c := range []struct {
		u    user.User
		ends bool
	}{{guest, false}, {owner, true}, {shared, false}} {
		f.beginUntil(t, c.u, epoch(), func(_ user.User, ends bool) error {
			if ends != c.ends {
				t.Errorf("the organization of %+v goes too: %t", c.u, ends)
			}
			return nil
		})
	}
	_, _, err := f.Users.Create(f.ctx, newUser(owner.OrganizationID), nil)
	wantError(t, err, organization.NotFound())
	_, _, err = f.Users.Create(f.ctx, newUser(shared.OrganizationID), nil)
	check.NoError(t, err)
}

func testFinishDeleteActive(t *testing.T, f fixture) {
	u := f.personal(t)
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, user.Deletion{OrganizationID: u.OrganizationID, UserID: u.ID}, epoch()))
	f.wantStored(t, u)
}

func testFinishDeleteAgain(t *testing.T, f fixture) {
	d := f.begin(t, f.personal(t))
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, d, epoch()))
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, d, epoch()))
}
