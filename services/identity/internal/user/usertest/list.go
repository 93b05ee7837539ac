package usertest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Rows that share a creation time are told apart by their ids, so that no page boundary loses or repeats one.
func testListPages(t *testing.T, f fixture) {
	o := f.organization(t).ID
	var want []user.User
	for i := range 11 {
		want = append(want, f.stored(t, o, func(u *user.User) {
			u.CreateTime = epoch().Add(-time.Duration(i/4) * time.Microsecond)
		}))
	}
	slices.SortFunc(want, func(a, b user.User) int {
		if c := a.CreateTime.Compare(b.CreateTime); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	for _, size := range []int{1, 2, 3, 4, 5, 11, 12} {
		var got []user.User
		var after *resource.Cursor
		for {
			page, err := f.Users.List(f.ctx, user.In(o), resource.Query{After: after, Limit: size})
			check.NoError(t, err)
			if len(page) > size {
				t.Fatalf("got %d rows for a limit of %d", len(page), size)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			end := page[len(page)-1].Cursor()
			after = &end
		}
		if !slices.Equal(got, want) {
			t.Fatalf("in pages of %d: got %d rows\n%v, want\n%v", size, len(got), got, want)
		}
	}
}

func testListTenancy(t *testing.T, f fixture) {
	mine, foreign := f.personal(t), f.personal(t)
	deleting := f.stored(t, mine.OrganizationID)
	f.begin(t, deleting)
	got, err := f.Users.List(f.ctx, user.In(mine.OrganizationID), resource.Query{Limit: 10})
	check.NoError(t, err)
	if !slices.Equal(got, []user.User{mine}) {
		t.Fatalf("got %v, want only %v", got, mine)
	}
	end := foreign.Cursor()
	end.CreateTime = end.CreateTime.Add(-time.Hour)
	got, err = f.Users.List(f.ctx, user.In(mine.OrganizationID), resource.Query{After: &end, Limit: 10})
	check.NoError(t, err)
	if !slices.Equal(got, []user.User{mine}) {
		t.Fatalf("after a foreign cursor: got %v, want only %v", got, mine)
	}
}

func testListConditions(t *testing.T, f fixture) {
	o := f.organization(t).ID
	a := f.stored(t, o, func(u *user.User) { u.DisplayName = "a%" })
	b := f.stored(t, o, func(u *user.User) { u.DisplayName, u.CreateTime = "ab", epoch().Add(time.Second) })
	c := f.stored(t, o, func(u *user.User) { u.DisplayName, u.CreateTime = "AB", epoch().Add(2*time.Second) })
	condition := func(field string, op resource.Op, value any) resource.Condition {
		return resource.Condition{Field: field, Op: op, Value: value}
	}
	for name, test := range map[string]struct {
		where []resource.Condition
		want  []user.User
	}{
		"email":              {[]resource.Condition{condition("email", resource.Equal, b.Email)}, []user.User{b}},
		"email of nobody":    {[]resource.Condition{condition("email", resource.Equal, "%")}, nil},
		"not email":          {[]resource.Condition{condition("email", resource.NotEqual, b.Email)}, []user.User{a, c}},
		"display name":       {[]resource.Condition{condition("display_name", resource.Equal, "ab")}, []user.User{b}},
		"wildcard is a text": {[]resource.Condition{condition("display_name", resource.Equal, "a%")}, []user.User{a}},
		"at":                 {[]resource.Condition{condition("create_time", resource.Equal, b.CreateTime)}, []user.User{b}},
		"not at":             {[]resource.Condition{condition("create_time", resource.NotEqual, b.CreateTime)}, []user.User{a, c}},
		"before":             {[]resource.Condition{condition("create_time", resource.Less, b.CreateTime)}, []user.User{a}},
		"until":              {[]resource.Condition{condition("create_time", resource.LessEqual, b.CreateTime)}, []user.User{a, b}},
		"after":              {[]resource.Condition{condition("create_time", resource.Greater, b.CreateTime)}, []user.User{c}},
		"from":               {[]resource.Condition{condition("create_time", resource.GreaterEqual, b.CreateTime)}, []user.User{b, c}},
		"the same field twice": {[]resource.Condition{
			condition("create_time", resource.Greater, a.CreateTime), condition("create_time", resource.Less, c.CreateTime),
		}, []user.User{b}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := f.Users.List(f.ctx, user.In(o), resource.Query{Where: test.where, Limit: 10})
			check.NoError(t, err)
			if !slices.Equal(got, test.want) {
				t.Fatalf("got %v, want %v", got, test.want)
			}
		})
	}
}

// Field and operator become SQL text: only known ones may.
func testListUnknownColumn(t *testing.T, f fixture) {
	u := f.personal(t)
	for _, c := range []resource.Condition{
		{Field: "revision", Op: resource.NotEqual, Value: "1"},
		{Field: "true or email", Op: resource.Equal, Value: "x"},
		{Field: "email", Op: "= '' or email !=", Value: "x"},
	} {
		if rows, err := f.Users.List(f.ctx, user.In(u.OrganizationID), resource.Query{Where: []resource.Condition{c}, Limit: 10}); err == nil {
			t.Fatalf("%+v was accepted and gave %v", c, rows)
		}
	}
}

// Who is admitted everywhere finds users by id alone, lists those of all organizations, and reaches those that are being deleted no more
// than others do.
func testEverywhere(t *testing.T, f fixture) {
	first, second := f.personal(t), f.personal(t)
	gone := f.stored(t, first.OrganizationID)
	f.begin(t, gone)
	for _, u := range []user.User{first, second} {
		got, err := f.Users.Get(f.ctx, user.Everywhere(), u.ID)
		check.NoError(t, err)
		if got != u {
			t.Fatalf("got %+v, want %+v", got, u)
		}
	}
	_, err := f.Users.Get(f.ctx, user.Everywhere(), gone.ID)
	wantError(t, err, user.NotFound())
	want := []user.User{first, second}
	slices.SortFunc(want, func(a, b user.User) int { return strings.Compare(a.ID, b.ID) })
	got, err := f.Users.List(f.ctx, user.Everywhere(), resource.Query{Limit: 10})
	check.NoError(t, err)
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	changed, err := f.Users.Update(f.ctx, user.Everywhere(), first.ID, func(u user.User) (user.User, error) {
		u.DisplayName, u.Revision = "Ada L.", 2
		return u, nil
	})
	check.NoError(t, err)
	f.wantStored(t, changed)
	d, _, err := f.Deletions.BeginDelete(f.ctx, user.Everywhere(), second.ID, epoch(), anyUser)
	if want := (user.Deletion{OrganizationID: second.OrganizationID, UserID: second.ID}); err != nil || d != want {
		t.Fatalf("got %+v, %v; want %+v", d, err, want)
	}
	f.wantGone(t, second)
}

func testNowhere(t *testing.T, f fixture) {
	u := f.personal(t)
	for _, scope := range []user.Scope{{}, user.In("")} {
		_, err := f.Users.Get(f.ctx, scope, u.ID)
		wantError(t, err, user.NotFound())
		got, err := f.Users.List(f.ctx, scope, resource.Query{Limit: 10})
		if err != nil || len(got) > 0 {
			t.Fatalf("got %v, %v", got, err)
		}
		_, _, err = f.Deletions.BeginDelete(f.ctx, scope, u.ID, epoch(), anyUser)
		wantError(t, err, user.NotFound())
	}
	f.wantStored(t, u)
}
