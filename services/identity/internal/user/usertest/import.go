package usertest

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// imported stores users and returns who has their addresses.
func (f fixture) imported(organizationID string, users ...user.User) ([]user.User, string, error) {
	creations := make([]user.Creation, len(users))
	for i, u := range users {
		creations[i] = user.NewCreation(event.FromContext(f.ctx), u, nil)
	}
	return f.Users.Import(f.ctx, organizationID, creations)
}

// addressed describes a user with an address.
func addressed(organizationID, email string) user.User {
	u := newUser(organizationID)
	u.Email, u.Locale, u.TimeZone = email, "de-CH", "Europe/Zurich"
	return u
}

// An import stores whose address is free, and of two with one address the first.
func testImport(t *testing.T, f fixture) {
	o := f.organization(t).ID
	there := f.stored(t, o, func(u *user.User) { u.Email = "b@example.com" })
	first, second, last := addressed(o, "c@example.com"), addressed(o, "c@example.com"), addressed(o, "a@example.com")
	holders, token, err := f.imported(o, first, addressed(o, "b@example.com"), second, last)
	check.NoError(t, err)
	want := []user.User{first, there, first, last}
	for i, holder := range holders {
		if holder != want[i] {
			t.Errorf("address %d is that of %+v, want %+v", i, holder, want[i])
		}
	}
	f.wantStored(t, first)
	f.wantStored(t, last)
	f.wantGone(t, second)
	if token == "" {
		t.Error("an import that stored has no token")
	}
	if holders, token, err = f.imported(o, addressed(o, "a@example.com")); err != nil || holders[0] != last || token != "" {
		t.Errorf("repeated: %+v, token %q, %v", holders, token, err)
	}
}

// A user that is being deleted has no address any more; an organization that is unknown, or ends,
// takes nobody.
func testImportAndDeletions(t *testing.T, f fixture) {
	o := f.organization(t).ID
	f.begin(t, f.stored(t, o, func(u *user.User) { u.Email = "a@example.com" }))
	again := addressed(o, "a@example.com")
	holders, _, err := f.imported(o, again)
	check.NoError(t, err)
	if holders[0] != again {
		t.Errorf("the address is that of %+v", holders[0])
	}
	owner := f.personal(t)
	f.begin(t, owner)
	for _, id := range []string{uuid.NewString(), owner.OrganizationID} {
		lost := addressed(id, "z@example.com")
		_, _, err := f.imported(id, lost)
		wantError(t, err, organization.NotFound())
		f.wantGone(t, lost)
	}
}

// Imports of the same addresses at the same time, in any order, end, and one user has each.
func testImportConcurrently(t *testing.T, f fixture) {
	const importers, size = 6, 40
	o := f.organization(t).ID
	var wait sync.WaitGroup
	var mutex sync.Mutex
	made := map[string]int{}
	for n := range importers {
		wait.Go(func() {
			users := make([]user.User, size)
			for i := range users {
				at := i
				if n%2 == 1 {
					at = size - 1 - i
				}
				users[at] = addressed(o, string(rune('A'+i))+"@example.com")
			}
			holders, _, err := f.imported(o, users...)
			if err != nil {
				t.Error(err)
				return
			}
			mutex.Lock()
			defer mutex.Unlock()
			for i, holder := range holders {
				if holder.ID == users[i].ID {
					made[holder.Email]++
				}
			}
		})
	}
	wait.Wait()
	for email, n := range made {
		if n != 1 {
			t.Errorf("%s was made %d times", email, n)
		}
	}
	if len(made) != size {
		t.Errorf("%d of %d addresses were made", len(made), size)
	}
}
