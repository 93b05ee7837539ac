package usertest

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// bounded describes a creation in an organization that may have so many users.
func (f fixture) bounded(u user.User, most int) user.Creation {
	c := user.NewCreation(event.FromContext(f.ctx), u, nil)
	c.Most = most
	return c
}

// R95: a personal organization has so many users at most, whatever their state; who is not bound
// makes more, and an organization that is not personal has any number.
func testQuota(t *testing.T, f fixture) {
	const most = 3
	o := f.personal(t).OrganizationID
	second := newUser(o)
	_, _, err := f.Users.Store.Create(f.ctx, f.bounded(second, most))
	check.NoError(t, err)
	f.begin(t, second) // it counts until its login is gone
	_, _, err = f.Users.Import(f.ctx, o, []user.Creation{f.bounded(newUser(o), most), f.bounded(newUser(o), most)})
	wantError(t, err, user.OrganizationFull(most))
	third := newUser(o)
	_, _, err = f.Users.Store.Create(f.ctx, f.bounded(third, most))
	check.NoError(t, err)
	fourth := newUser(o)
	_, _, err = f.Users.Store.Create(f.ctx, f.bounded(fourth, most))
	wantError(t, err, user.OrganizationFull(most))
	f.wantGone(t, fourth)
	f.wantUsers(t, o, 2)

	if stored, _, err := f.Users.Store.Create(f.ctx, f.bounded(third, most)); err != nil || stored != third {
		t.Errorf("a repeat in a full organization: %+v, %v", stored, err)
	}
	if holders, _, err := f.Users.Import(f.ctx, o, []user.Creation{f.bounded(addressed(o, third.Email), most)}); err != nil || holders[0] != third {
		t.Errorf("an import of who is there in a full organization: %+v, %v", holders, err)
	}
	f.stored(t, o) // who is not bound
	f.wantUsers(t, o, 3)
	shared := f.organization(t).ID
	for range most + 1 {
		_, _, err := f.Users.Store.Create(f.ctx, f.bounded(newUser(shared), most))
		check.NoError(t, err)
	}
}

// R95: creations and imports at the same time, also of the same addresses, are together not more
// than the quota, and none waits for another one for ever.
func testQuotaConcurrently(t *testing.T, f fixture) {
	const most, callers = 7, 12
	o := f.personal(t).OrganizationID
	var wait sync.WaitGroup
	for n := range callers {
		wait.Go(func() {
			for i := range 4 {
				var err error
				u := addressed(o, fmt.Sprintf("%d@example.com", (n+i)%callers))
				if n%2 == 0 {
					_, _, err = f.Users.Store.Create(f.ctx, f.bounded(u, most))
				} else {
					_, _, err = f.Users.Import(f.ctx, o, []user.Creation{f.bounded(u, most), f.bounded(addressed(o, strconv.Itoa(i)+"@example.com"), most)})
				}
				if err != nil && !isOneOf(err, user.OrganizationFull(most), user.EmailTaken()) {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	f.wantUsers(t, o, most)
}

// R95: while users leave, whoever joins is counted, and nobody waits for ever.
func testQuotaAndDeletions(t *testing.T, f fixture) {
	const most = 5
	owner := f.personal(t)
	o := owner.OrganizationID
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 8 {
				u := newUser(o)
				_, _, err := f.Users.Store.Create(f.ctx, f.bounded(u, most))
				if err == nil {
					_, _, err = f.Deletions.BeginDelete(f.ctx, user.In(o), u.ID, epoch(), anyUser)
				}
				if err == nil {
					err = f.Deletions.FinishDelete(f.ctx, user.Deletion{OrganizationID: o, UserID: u.ID}, epoch())
				}
				if err != nil && !isOneOf(err, user.OrganizationFull(most)) {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	f.wantUsers(t, o, 1)
}

// wantUsers fails unless an organization has so many active users.
func (f fixture) wantUsers(t *testing.T, organizationID string, want int) {
	t.Helper()
	users, err := f.Users.List(f.ctx, user.In(organizationID), resource.Query{Limit: 100})
	check.NoError(t, err)
	if len(users) != want {
		t.Errorf("the organization has %d users, want %d", len(users), want)
	}
}
