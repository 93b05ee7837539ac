package usertest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// A creation that arrives after the deletion brings neither the user nor a personal organization back, until the id is forgotten.
func testDeletedStayDeleted(t *testing.T, f fixture) {
	u, shared := f.personal(t), f.organization(t)
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, f.begin(t, u), epoch()))
	o := organization.NewPersonal(uuid.NewString(), "Ada", epoch())
	late, elsewhere := u, u
	late.OrganizationID, elsewhere.OrganizationID = o.ID, shared.ID
	_, _, err := f.Users.Create(f.ctx, late, &o)
	wantError(t, err, user.IDTaken())
	_, _, err = f.Users.Create(f.ctx, elsewhere, nil)
	wantError(t, err, user.IDTaken())
	f.wantGone(t, late)
	f.wantGone(t, elsewhere)
	f.wantNoOrganization(t, o.ID)

	if n, err := f.Deletions.ForgetDeleted(f.ctx, epoch().Add(time.Microsecond), 10); n != 1 || err != nil {
		t.Fatalf("forgot %d, %v; want 1", n, err)
	}
	_, _, err = f.Users.Create(f.ctx, late, &o)
	check.NoError(t, err)
	f.wantStored(t, late)
}

// A creation that meets the end of the deletion sees the user that is being deleted or is refused; it never stores another one.
func testDeletedStayDeletedConcurrently(t *testing.T, f fixture) {
	for range 30 {
		u := f.stored(t, f.organization(t).ID)
		d := f.begin(t, u)
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				got, _, err := f.Users.Create(f.ctx, u, nil)
				if err == nil && got.State != user.Deleting || err != nil && !errors.Is(err, user.IDTaken()) {
					t.Errorf("got %+v, %v; want the user that is being deleted, or %v", got, err, user.IDTaken())
				}
			})
		}
		wait.Go(func() {
			if err := f.Deletions.FinishDelete(f.ctx, d, epoch()); err != nil {
				t.Error(err)
			}
		})
		wait.Wait()
		f.wantGone(t, u)
	}
}

func testForgetDeleted(t *testing.T, f fixture) {
	for i := range 5 {
		check.NoError(t, f.Deletions.FinishDelete(f.ctx, f.begin(t, f.personal(t)), epoch().Add(time.Duration(i)*time.Minute)))
	}
	for step, want := range []int{2, 1, 0} { // the last two are too young
		if n, err := f.Deletions.ForgetDeleted(f.ctx, epoch().Add(3*time.Minute), 2); n != want || err != nil {
			t.Fatalf("step %d: forgot %d, %v; want %d", step, n, err, want)
		}
	}
}

// The id of a deletion that is still remembered is free again after an hour, and its user may be
// deleted again.
func testDeletedAreRefusedForAWhile(t *testing.T, f fixture) {
	u := f.stored(t, f.organization(t).ID)
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, f.begin(t, u), epoch()))
	again := u
	again.CreateTime = epoch().Add(time.Hour)
	_, _, err := f.Users.Create(f.ctx, again, nil)
	wantError(t, err, user.IDTaken())
	again.CreateTime = again.CreateTime.Add(time.Microsecond)
	_, _, err = f.Users.Create(f.ctx, again, nil)
	check.NoError(t, err)
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, f.begin(t, again), again.CreateTime))
	if n, err := f.Deletions.ForgetDeleted(f.ctx, epoch().Add(time.Minute), 10); n != 0 || err != nil {
		t.Errorf("forgot %d, %v: the second deletion is a young one", n, err)
	}
}
