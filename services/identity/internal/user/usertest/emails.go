package usertest

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// What Auth says of an address is taken over in the order of its revisions, however it arrives.
func testSetEmail(t *testing.T, f fixture) {
	u, other := f.stored(t, f.organization(t).ID), f.personal(t)
	neighbour := f.stored(t, u.OrganizationID)
	want := u
	for _, c := range []struct {
		e     user.Email
		taken bool
	}{
		{user.Email{Address: u.Email, Verified: true, Revision: 2}, true},
		{user.Email{Address: u.Email, Verified: true, Revision: 2}, false},  // repeated
		{user.Email{Address: u.Email, Verified: false, Revision: 1}, false}, // overtaken
		{user.Email{Address: "new@example.com", Verified: true, Revision: 5}, true},
		{user.Email{Address: other.Email, Revision: 6}, true}, // of somebody elsewhere
	} {
		c.e.UserID = u.ID
		check.NoError(t, f.Users.SetEmail(f.ctx, c.e, epoch(), f.event()))
		got, err := f.Users.Get(f.ctx, user.Everywhere(), u.ID)
		check.NoError(t, err)
		if c.taken {
			want.Email, want.EmailVerified, want.Revision, want.UpdateTime = c.e.Address, c.e.Verified, want.Revision+1, got.UpdateTime
			if !got.UpdateTime.After(u.UpdateTime) {
				t.Errorf("changed at %s, after %s", got.UpdateTime, u.UpdateTime)
			}
		}
		if got != want {
			t.Errorf("after %+v: %+v, want %+v", c.e, got, want)
		}
	}
	wantError(t, f.Users.SetEmail(f.ctx, user.Email{UserID: u.ID, Address: neighbour.Email, Revision: 7}, epoch(), f.event()), user.EmailTaken())
	f.wantStored(t, want)
	wantError(t, f.Users.SetEmail(f.ctx, user.Email{UserID: uuid.NewString(), Address: u.Email, Revision: 7}, epoch(), f.event()), user.NotFound())
	f.begin(t, want)
	wantError(t, f.Users.SetEmail(f.ctx, user.Email{UserID: u.ID, Address: u.Email, Revision: 7}, epoch(), f.event()), user.NotFound())
}

// Lists of proven users, and of those who are not.
func testListByEmailVerified(t *testing.T, f fixture) {
	o := f.organization(t).ID
	by := map[bool]user.User{}
	for _, verified := range []bool{true, false} {
		by[verified] = f.stored(t, o, func(u *user.User) { u.EmailVerified = verified })
	}
	for _, scope := range []user.Scope{user.In(o), user.Everywhere()} {
		for verified, want := range by {
			for op, value := range map[resource.Op]bool{resource.Equal: verified, resource.NotEqual: !verified} {
				got, err := f.Users.List(f.ctx, scope, resource.Query{Where: []resource.Condition{{Field: "email_verified", Op: op, Value: value}}, Limit: 10})
				check.NoError(t, err)
				if !slices.Equal(got, []user.User{want}) {
					t.Errorf("%s %t: got %v, want %v", op, value, got, want)
				}
			}
		}
	}
}
