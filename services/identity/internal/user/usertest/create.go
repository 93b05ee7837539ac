package usertest

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

func testCreate(t *testing.T, f fixture) {
	u := newUser(f.organization(t).ID)
	stored, token, err := f.Users.Create(f.ctx, u, nil)
	check.NoError(t, err)
	if stored != u || token == "" {
		t.Fatalf("got %+v with token %q, want %+v", stored, token, u)
	}
	f.wantStored(t, u)
	_, again, err := f.Users.Create(f.ctx, u, nil)
	if err != nil || again != token {
		t.Fatalf("a repeat has token %q (%v), want %q", again, err, token)
	}
}

// An address names one active user of an organization, and may be used again after a deletion and elsewhere.
func testCreateTakenEmail(t *testing.T, f fixture) {
	first := f.stored(t, f.organization(t).ID)
	second := newUser(first.OrganizationID)
	second.Email = first.Email
	_, _, err := f.Users.Create(f.ctx, second, nil)
	wantError(t, err, user.EmailTaken())
	f.wantGone(t, second)
	f.stored(t, f.organization(t).ID, func(u *user.User) { u.Email = first.Email })
	f.begin(t, first)
	_, _, err = f.Users.Create(f.ctx, second, nil)
	check.NoError(t, err)
	f.wantStored(t, second)
}

func testCreateTakenEmailConcurrently(t *testing.T, f fixture) {
	const callers = 8
	o := f.organization(t).ID
	errs := make([]error, callers)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			u := newUser(o)
			u.Email = "ada@example.com"
			_, _, errs[i] = f.Users.Create(f.ctx, u, nil)
		})
	}
	wait.Wait()
	stored := 0
	for _, err := range errs {
		if err == nil {
			stored++
			continue
		}
		wantError(t, err, user.EmailTaken())
	}
	if stored != 1 {
		t.Fatalf("%d users have the same address, want 1", stored)
	}
}

func testCreatePersonal(t *testing.T, f fixture) {
	o := organization.NewPersonal(uuid.NewString(), "Ada", epoch())
	u := newUser(o.ID)
	_, _, err := f.Users.Create(f.ctx, u, &o)
	check.NoError(t, err)
	f.wantStored(t, u)
	got, err := f.Organizations.Get(f.ctx, o.ID)
	check.NoError(t, err)
	if got != o {
		t.Fatalf("got %+v, want %+v", got, o)
	}
}

// A personal organization is new by definition: a user never slips into one that exists.
func testCreatePersonalTaken(t *testing.T, f fixture) {
	existing := f.organization(t)
	o := organization.NewPersonal(existing.ID, "Ada", epoch())
	u := newUser(o.ID)
	if _, _, err := f.Users.Create(f.ctx, u, &o); err == nil {
		t.Fatal("a user joined an existing organization as its personal one")
	}
	f.wantGone(t, u)
}

func testCreateUnknownOrganization(t *testing.T, f fixture) {
	u := newUser(uuid.NewString())
	_, _, err := f.Users.Create(f.ctx, u, nil)
	wantError(t, err, organization.NotFound())
	f.wantGone(t, u)
}

// A repeated Create returns what is stored, whatever it asks for, and leaves no second organization behind.
func testCreateAgain(t *testing.T, f fixture) {
	first := f.personal(t)
	again := first
	again.Email, again.DisplayName = "other@example.com", "Other"
	o := organization.NewPersonal(uuid.NewString(), "Other", epoch())
	again.OrganizationID = o.ID
	stored, _, err := f.Users.Create(f.ctx, again, &o)
	check.NoError(t, err)
	if stored != first {
		t.Fatalf("got %+v, want the first %+v", stored, first)
	}
	_, err = f.Organizations.Get(f.ctx, o.ID)
	wantError(t, err, organization.NotFound())
}

func testCreateAgainElsewhere(t *testing.T, f fixture) {
	first := f.stored(t, f.organization(t).ID)
	again := first
	again.OrganizationID = f.organization(t).ID
	stored, _, err := f.Users.Create(f.ctx, again, nil)
	check.NoError(t, err)
	if stored != first {
		t.Fatalf("got %+v, want the first %+v", stored, first)
	}
	f.wantGone(t, again)
}

func testCreateConcurrently(t *testing.T, f fixture) {
	const callers = 8
	u := newUser("")
	stored, errs, organizations := make([]user.User, callers), make([]error, callers), make([]string, callers)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			o := organization.NewPersonal(uuid.NewString(), "Ada", epoch())
			mine := u
			mine.OrganizationID, organizations[i] = o.ID, o.ID
			stored[i], _, errs[i] = f.Users.Create(f.ctx, mine, &o)
		})
	}
	wait.Wait()
	for i := range callers {
		check.NoError(t, errs[i])
		if stored[i] != stored[0] {
			t.Fatalf("caller %d got %+v, caller 0 got %+v", i, stored[i], stored[0])
		}
		_, err := f.Organizations.Get(f.ctx, organizations[i])
		if won := organizations[i] == stored[0].OrganizationID; won {
			check.NoError(t, err)
		} else {
			wantError(t, err, organization.NotFound())
		}
	}
}

// Repeats of one request meet on every unique key at once, not only on the id.
func testCreateConcurrentlyInOrganization(t *testing.T, f fixture) {
	o := f.organization(t)
	for range 20 {
		u := newUser(o.ID)
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				if stored, _, err := f.Users.Create(f.ctx, u, nil); err != nil || stored != u {
					t.Errorf("got %+v, %v; want %+v", stored, err, u)
				}
			})
		}
		wait.Wait()
	}
}

func testCreateAnyText(t *testing.T, f fixture) {
	u := newUser(f.organization(t).ID)
	u.DisplayName = `Åsa 😀 "q" 'q' \ %_ @name $1 {{ }} '; drop table users; --`
	_, _, err := f.Users.Create(f.ctx, u, nil)
	check.NoError(t, err)
	f.wantStored(t, u)
}

// R52: a user of another organization is answered like an unknown one, by every method.
func testTenancy(t *testing.T, f fixture) {
	u, foreign := f.personal(t), f.organization(t).ID
	unknown := uuid.NewString()
	for _, id := range []string{u.ID, unknown} {
		_, err := f.Users.Get(f.ctx, user.In(foreign), id)
		wantError(t, err, user.NotFound())
		_, err = f.Users.Update(f.ctx, user.In(foreign), id, func(u user.User) (user.User, error) {
			t.Error("a foreign user was shown to an update")
			return u, nil
		})
		wantError(t, err, user.NotFound())
		_, _, err = f.Deletions.BeginDelete(f.ctx, user.In(foreign), id, epoch(), func(user.User, bool) error {
			t.Error("a foreign user was shown to a deletion")
			return nil
		})
		wantError(t, err, user.NotFound())
	}
	check.NoError(t, f.Deletions.FinishDelete(f.ctx, user.Deletion{OrganizationID: foreign, UserID: u.ID}, epoch()))
	f.wantStored(t, u)
}
