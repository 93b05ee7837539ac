package usertest

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

func testUpdate(t *testing.T, f fixture) {
	u := f.personal(t)
	bystander := f.stored(t, u.OrganizationID)
	want := u
	want.DisplayName, want.Locale, want.TimeZone = "Ada L.", "en-GB", "Europe/London"
	want.Revision, want.UpdateTime = 2, epoch().Add(time.Hour)
	got, err := f.Users.Update(f.ctx, user.In(u.OrganizationID), u.ID, func(current user.User) (user.User, error) {
		if current != u {
			t.Errorf("shown %+v, want %+v", current, u)
		}
		return want, nil
	})
	check.NoError(t, err)
	if got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	f.wantStored(t, want)
	f.wantStored(t, bystander)
}

func testUpdateRefused(t *testing.T, f fixture) {
	u := f.personal(t)
	refusal := apierr.New(apierr.Aborted, "REFUSED", "no")
	_, err := f.Users.Update(f.ctx, user.In(u.OrganizationID), u.ID, func(u user.User) (user.User, error) {
		u.DisplayName, u.Revision = "changed", 2
		return u, refusal
	})
	wantError(t, err, refusal)
	f.wantStored(t, u)
}

func testUpdateUnchanged(t *testing.T, f fixture) {
	u := f.personal(t)
	got, err := f.Users.Update(f.ctx, user.In(u.OrganizationID), u.ID, func(u user.User) (user.User, error) { return u, nil })
	check.NoError(t, err)
	if got != u {
		t.Fatalf("got %+v, want %+v", got, u)
	}
	f.wantStored(t, u)
}

// The row is locked while change decides: of concurrent updates none is lost.
func testUpdateConcurrently(t *testing.T, f fixture) {
	const callers = 8
	u := f.personal(t)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			_, err := f.Users.Update(f.ctx, user.In(u.OrganizationID), u.ID, func(u user.User) (user.User, error) {
				u.DisplayName += strconv.Itoa(i)
				u.Revision++
				return u, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	got, err := f.Users.Get(f.ctx, user.In(u.OrganizationID), u.ID)
	check.NoError(t, err)
	if got.Revision != 1+callers || len(got.DisplayName) != len(u.DisplayName)+callers {
		t.Fatalf("got revision %d and %q after %d updates", got.Revision, got.DisplayName, callers)
	}
}
