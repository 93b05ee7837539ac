package usertest

import (
	"slices"
	"testing"

	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Whoever is invited, active or suspended is there: read, listed, changed and deleted alike, and
// the only one with the address.
func testStatesAreThere(t *testing.T, f fixture) {
	o := f.organization(t).ID
	for _, state := range []user.State{user.Invited, user.Active, user.Suspended} {
		u := f.stored(t, o, func(u *user.User) { u.State = state })
		f.wantStored(t, u)
		other := newUser(o)
		other.Email = u.Email
		_, _, err := f.Users.Create(f.ctx, other, nil)
		wantError(t, err, user.EmailTaken())
		holders, _, err := f.Users.Import(f.ctx, o, []user.Creation{user.NewCreation(f.event(), other, nil)})
		check.NoError(t, err)
		if !slices.Equal(holders, []user.User{u}) {
			t.Errorf("the address of an %s user is of %v", state, holders)
		}
		again, _, err := f.Users.Create(f.ctx, u, nil)
		check.NoError(t, err)
		if again != u {
			t.Errorf("creating it again returned %+v, want %+v", again, u)
		}
		changed, err := f.Users.Update(f.ctx, user.In(o), u.ID, func(u user.User) (user.User, error) {
			u.DisplayName, u.Revision = "Countess", u.Revision+1
			return u, nil
		})
		check.NoError(t, err)
		f.wantStored(t, changed)
		f.begin(t, u)
		f.wantGone(t, u)
	}
}

// A personal organization goes with the last user who is there, suspended or not.
func testStatesKeepPersonal(t *testing.T, f fixture) {
	for _, state := range []user.State{user.Invited, user.Suspended} {
		owner := f.personal(t)
		guest := f.stored(t, owner.OrganizationID, func(u *user.User) { u.State = state })
		for _, leaves := range []struct {
			u    user.User
			ends bool
		}{{owner, false}, {guest, true}} {
			f.beginUntil(t, leaves.u, epoch(), func(u user.User, ends bool) error {
				if ends != leaves.ends || u.State != leaves.u.State {
					t.Errorf("shown %+v, the organization ends: %t", u, ends)
				}
				return nil
			})
		}
		_, _, err := f.Users.Create(f.ctx, newUser(owner.OrganizationID), nil)
		wantError(t, err, organization.NotFound())
	}
}

// Lists of one state have its users alone, of one organization and of all.
func testListByState(t *testing.T, f fixture) {
	o := f.organization(t).ID
	by := map[user.State]user.User{}
	for _, state := range []user.State{user.Invited, user.Active, user.Suspended} {
		by[state] = f.stored(t, o, func(u *user.User) { u.State = state })
	}
	f.begin(t, f.stored(t, o, func(u *user.User) { u.State = user.Suspended }))
	for _, scope := range []user.Scope{user.In(o), user.Everywhere()} {
		for state, want := range by {
			got, err := f.Users.List(f.ctx, scope, ofState(resource.Equal, state))
			check.NoError(t, err)
			if !slices.Equal(got, []user.User{want}) {
				t.Errorf("%s: got %v, want %v", state, got, want)
			}
		}
		got, err := f.Users.List(f.ctx, scope, ofState(resource.NotEqual, user.Active))
		check.NoError(t, err)
		if len(got) != 2 || slices.Contains(got, by[user.Active]) {
			t.Errorf("not active: got %v", got)
		}
	}
}

func ofState(op resource.Op, state user.State) resource.Query {
	return resource.Query{Where: []resource.Condition{{Field: "state", Op: op, Value: state}}, Limit: 10}
}
