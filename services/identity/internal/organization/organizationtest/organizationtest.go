// Package organizationtest is the conformance suite of the organization stores: what every implementation of organization.Store must do.
//
// Tests of implementations import it and run it over the real thing.
package organizationtest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
)

// Fixture is an implementation over one empty database.
type Fixture struct {
	Organizations organization.Store
	// AddUser makes a user join the organization, as the service's user store does.
	AddUser func(ctx context.Context, organizationID string) error
}

// fixture is one test's store.
type fixture struct {
	Organizations Plain
	AddUser       func(ctx context.Context, organizationID string) error
}

// Run runs the suite. open is called for each test and returns a store over an empty database of its own.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	for name, test := range map[string]func(t *testing.T, f fixture){
		"Create":             testCreate,
		"CreateAgain":        testCreateAgain,
		"CreateConcurrently": testCreateConcurrently,
		"Unknown":            testUnknown,
		"Update":             testUpdate,
		"UpdateRefused":      testUpdateRefused,
		"UpdateConcurrently": testUpdateConcurrently,
		"ListPages":          testListPages,
		"ListConditions":     testListConditions,
		"Delete":             testDelete,
		"DeleteRefused":      testDeleteRefused,
		"DeleteWithUsers":    testDeleteWithUsers,
		"DeleteConcurrently": testDeleteConcurrently,
		"DeleteByRivals":     testDeleteByRivals,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			test(t, fixture{Organizations: Plain{f.Organizations}, AddUser: f.AddUser})
		})
	}
}

// drafted is the context of a request whose change is audited.
func drafted(t *testing.T) context.Context {
	t.Helper()
	return event.NewContext(t.Context(), event.Own(t.Context(), "identity", "organization.tested", "organization"))
}

// remove is Delete without its token.
func (f fixture) remove(t *testing.T, id string, check func(organization.Organization) error) error {
	_, err := f.Organizations.Delete(drafted(t), id, check)
	return err
}

func epoch() time.Time { return time.Date(2031, 2, 3, 4, 5, 6, 789012000, time.UTC) }

func newOrganization(name string) organization.Organization {
	return organization.Organization{ID: uuid.NewString(), DisplayName: name, Revision: 1, CreateTime: epoch(), UpdateTime: epoch()}
}

func (f fixture) stored(t *testing.T, o organization.Organization) organization.Organization {
	t.Helper()
	stored, _, err := f.Organizations.Create(drafted(t), o)
	check.NoError(t, err)
	if stored != o {
		t.Fatalf("got %+v, want %+v", stored, o)
	}
	return stored
}

func (f fixture) wantStored(t *testing.T, want organization.Organization) {
	t.Helper()
	got, err := f.Organizations.Get(t.Context(), want.ID)
	check.NoError(t, err)
	if got != want {
		t.Fatalf("stored is\n%+v, want\n%+v", got, want)
	}
}

func testCreate(t *testing.T, f fixture) {
	f.wantStored(t, f.stored(t, newOrganization(`Åsa 😀 "q" 'q' \ %_ @name $1`)))
	personal := newOrganization("personal")
	personal.Personal = true
	f.wantStored(t, f.stored(t, personal))
}

func testCreateAgain(t *testing.T, f fixture) {
	first := f.stored(t, newOrganization("a"))
	again := first
	again.DisplayName = "b"
	stored, _, err := f.Organizations.Create(drafted(t), again)
	check.NoError(t, err)
	if stored != first {
		t.Fatalf("got %+v, want the first %+v", stored, first)
	}
}

func testCreateConcurrently(t *testing.T, f fixture) {
	const callers = 8
	o := newOrganization("")
	stored, errs := make([]organization.Organization, callers), make([]error, callers)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			mine := o
			mine.DisplayName = strconv.Itoa(i)
			stored[i], _, errs[i] = f.Organizations.Create(drafted(t), mine)
		})
	}
	wait.Wait()
	for i := range callers {
		check.NoError(t, errs[i])
		if stored[i] != stored[0] {
			t.Fatalf("caller %d got %+v, caller 0 got %+v", i, stored[i], stored[0])
		}
	}
}

func testUnknown(t *testing.T, f fixture) {
	id := uuid.NewString()
	_, err := f.Organizations.Get(t.Context(), id)
	wantError(t, err, organization.NotFound())
	_, err = f.Organizations.Update(drafted(t), id, func(o organization.Organization) (organization.Organization, error) { return o, nil })
	wantError(t, err, organization.NotFound())
	wantError(t, f.remove(t, id, anyOrganization), organization.NotFound())
}

func testUpdate(t *testing.T, f fixture) {
	o, bystander := f.stored(t, newOrganization("a")), f.stored(t, newOrganization("b"))
	want := o
	want.DisplayName, want.Revision, want.UpdateTime = "c", 2, epoch().Add(time.Hour)
	got, err := f.Organizations.Update(drafted(t), o.ID, func(organization.Organization) (organization.Organization, error) {
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
	o := f.stored(t, newOrganization("a"))
	refusal := apierr.New(apierr.Aborted, "REFUSED", "no")
	_, err := f.Organizations.Update(drafted(t), o.ID, func(o organization.Organization) (organization.Organization, error) {
		o.DisplayName, o.Revision = "changed", 2
		return o, refusal
	})
	wantError(t, err, refusal)
	f.wantStored(t, o)
}

func testUpdateConcurrently(t *testing.T, f fixture) {
	const callers = 8
	o := f.stored(t, newOrganization("a"))
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			_, err := f.Organizations.Update(drafted(t), o.ID, func(o organization.Organization) (organization.Organization, error) {
				o.DisplayName += "x"
				o.Revision++
				return o, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	o.DisplayName, o.Revision = "axxxxxxxx", 1+callers
	f.wantStored(t, o)
}

func testListPages(t *testing.T, f fixture) {
	var want []organization.Organization
	for i := range 5 {
		o := newOrganization("a")
		o.CreateTime = epoch().Add(time.Duration(i/2) * time.Microsecond)
		want = append(want, f.stored(t, o))
	}
	slices.SortFunc(want, func(a, b organization.Organization) int {
		if c := a.CreateTime.Compare(b.CreateTime); c != 0 {
			return c
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	for _, size := range []int{1, 2, 5, 6} {
		var got []organization.Organization
		var after *resource.Cursor
		for {
			page, err := f.Organizations.List(t.Context(), resource.Query{After: after, Limit: size})
			check.NoError(t, err)
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			end := page[len(page)-1].Cursor()
			after = &end
		}
		if !slices.Equal(got, want) {
			t.Fatalf("in pages of %d: got\n%v, want\n%v", size, got, want)
		}
	}
}

func testListConditions(t *testing.T, f fixture) {
	f.stored(t, newOrganization("a"))
	b := f.stored(t, newOrganization("b"))
	got, err := f.Organizations.List(t.Context(), resource.Query{Limit: 10, Where: []resource.Condition{
		{Field: "display_name", Op: resource.NotEqual, Value: "a"}, {Field: "create_time", Op: resource.LessEqual, Value: epoch()},
	}})
	check.NoError(t, err)
	if !slices.Equal(got, []organization.Organization{b}) {
		t.Fatalf("got %v, want only %v", got, b)
	}
	bad := resource.Query{Limit: 10, Where: []resource.Condition{{Field: "personal", Op: resource.Equal, Value: "true"}}}
	if _, err := f.Organizations.List(t.Context(), bad); err == nil {
		t.Fatal("a column that is not listed was accepted")
	}
}

func anyOrganization(organization.Organization) error { return nil }

func testDelete(t *testing.T, f fixture) {
	o, bystander := f.stored(t, newOrganization("a")), f.stored(t, newOrganization("b"))
	check.NoError(t, f.remove(t, o.ID, anyOrganization))
	_, err := f.Organizations.Get(t.Context(), o.ID)
	wantError(t, err, organization.NotFound())
	f.wantStored(t, bystander)
}

func testDeleteRefused(t *testing.T, f fixture) {
	o := f.stored(t, newOrganization("a"))
	refusal := apierr.New(apierr.Aborted, "REFUSED", "no")
	wantError(t, f.remove(t, o.ID, func(shown organization.Organization) error {
		if shown != o {
			t.Errorf("shown %+v, want %+v", shown, o)
		}
		return refusal
	}), refusal)
	f.wantStored(t, o)
}

func testDeleteWithUsers(t *testing.T, f fixture) {
	o := f.stored(t, newOrganization("a"))
	check.NoError(t, f.AddUser(drafted(t), o.ID))
	wantError(t, f.remove(t, o.ID, anyOrganization), organization.NotEmpty())
	f.wantStored(t, o)
}

// A user joins while the organization is removed: exactly one of the two wins.
func testDeleteConcurrently(t *testing.T, f fixture) {
	for range 10 {
		o := f.stored(t, newOrganization("a"))
		var deleteError, joinError error
		var wait sync.WaitGroup
		wait.Go(func() { deleteError = f.remove(t, o.ID, anyOrganization) })
		wait.Go(func() { joinError = f.AddUser(drafted(t), o.ID) })
		wait.Wait()
		if deleteError == nil {
			wantError(t, joinError, organization.NotFound())
		} else {
			wantError(t, deleteError, organization.NotEmpty())
			check.NoError(t, joinError)
			f.wantStored(t, o)
		}
	}
}

// Of several who delete at once one did it, and only that one leaves an event.
func testDeleteByRivals(t *testing.T, f fixture) {
	for range 5 {
		o := f.stored(t, newOrganization("a"))
		errs := make([]error, 4)
		var wait sync.WaitGroup
		for i := range errs {
			wait.Go(func() { errs[i] = f.remove(t, o.ID, anyOrganization) })
		}
		wait.Wait()
		deleted := 0
		for _, err := range errs {
			if err == nil {
				deleted++
				continue
			}
			wantError(t, err, organization.NotFound())
		}
		if deleted != 1 {
			t.Fatalf("deleted %d times, want once", deleted)
		}
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}
