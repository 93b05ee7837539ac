package api_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

func TestListUsers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	directory := identityv1.NewUserDirectoryServiceClient(s.As("auth"))
	first, foreign := s.signedUp(t), s.signedUp(t)
	s.grants.Allow(first.GetId(), "can_list_users", "platform:gatehouse")
	administrator := s.as(first)
	want := []string{first.GetId()}
	for i := range 4 {
		r, err := directory.RegisterUser(t.Context(), &identityv1.RegisterUserRequest{
			Id: uuid.NewString(), OrganizationId: first.GetOrganizationId(), Email: strconv.Itoa(i) + "@example.com",
		})
		check.NoError(t, err)
		want = append(want, r.GetUser().GetId())
	}
	list := func(r *identityv1.ListUsersRequest) *identityv1.ListUsersResponse {
		t.Helper()
		if r.OrganizationId == "" {
			r.OrganizationId = first.GetOrganizationId()
		}
		page, err := administrator.ListUsers(t.Context(), r)
		check.NoError(t, err)
		return page
	}
	got, tokens := walk(list)
	if !slices.Equal(got, want) || len(tokens) != 2 {
		t.Fatalf("got %v in %d pages, want %v in 3", got, len(tokens)+1, want)
	}
	if page := list(&identityv1.ListUsersRequest{}); len(page.GetUsers()) != 5 || page.GetNextPageToken() != "" {
		t.Fatalf("without a page size: got %v", page)
	}
	if page := list(&identityv1.ListUsersRequest{PageSize: 5}); page.GetNextPageToken() != "" {
		t.Fatal("a page that ends with the list has a next one")
	}
	if page := list(&identityv1.ListUsersRequest{OrganizationId: uuid.NewString()}); len(page.GetUsers()) != 0 {
		t.Fatalf("an unknown organization has %v", page)
	}
	if page := list(&identityv1.ListUsersRequest{Filter: `email = "2@Example.COM"`}); len(page.GetUsers()) != 1 || page.GetUsers()[0].GetId() != want[3] {
		t.Fatalf("by email: got %v", page)
	}
	if page := list(&identityv1.ListUsersRequest{Filter: `create_time > "` + first.GetCreateTime().AsTime().Format("2006-01-02T15:04:05.999999Z07:00") + `"`}); len(page.GetUsers()) != 4 {
		t.Fatalf("by time: got %v", page)
	}
	for filter, want := range map[string]int{`state = STATE_ACTIVE`: 5, `state != STATE_ACTIVE`: 0, `state = STATE_SUSPENDED`: 0} {
		if page := list(&identityv1.ListUsersRequest{Filter: filter}); len(page.GetUsers()) != want {
			t.Errorf("%s: got %v", filter, page)
		}
	}
	refusesLists(t, administrator, first.GetOrganizationId(), foreign.GetOrganizationId(), tokens[0])
}

// refusesLists asks for lists that cannot be, with a page token of an organization.
func refusesLists(t *testing.T, administrator identityv1.UserServiceClient, organizationID, foreignID, pageToken string) {
	t.Helper()
	for name, c := range map[string]struct {
		r     *identityv1.ListUsersRequest
		field string
	}{
		"token of another organization": {&identityv1.ListUsersRequest{OrganizationId: foreignID, PageToken: pageToken}, "page_token"},
		"token of another filter":       {&identityv1.ListUsersRequest{Filter: `email = "x"`, PageToken: pageToken}, "page_token"},
		"made up token":                 {&identityv1.ListUsersRequest{PageToken: "2"}, "page_token"},
		"bad filter":                    {&identityv1.ListUsersRequest{Filter: `state = "deleting"`}, "filter"},
		"no state of the contract":      {&identityv1.ListUsersRequest{Filter: `state = STATE_DELETING`}, "filter"},
		"negative page size":            {&identityv1.ListUsersRequest{PageSize: -1}, "page_size"},
		"too large page size":           {&identityv1.ListUsersRequest{PageSize: 1001}, "page_size"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.r.OrganizationId == "" {
				c.r.OrganizationId = organizationID
			}
			_, err := administrator.ListUsers(t.Context(), c.r)
			wantViolation(t, err, c.field, "")
		})
	}
}

// walk reads a list in pages of two: the ids of its users, and the tokens between the pages.
func walk(list func(*identityv1.ListUsersRequest) *identityv1.ListUsersResponse) (got, tokens []string) {
	for token := ""; ; {
		page := list(&identityv1.ListUsersRequest{PageSize: 2, PageToken: token})
		for _, u := range page.GetUsers() {
			got = append(got, u.GetId())
		}
		if token = page.GetNextPageToken(); token == "" {
			return got, tokens
		}
		tokens = append(tokens, token)
	}
}

// Who may list the platform's users lists those of all organizations by naming none, in the same pages.
func TestListUsersOfAllOrganizations(t *testing.T) {
	t.Parallel()
	s := newService(t)
	first, second, third := s.signedUp(t), s.signedUp(t), s.signedUp(t)
	s.grants.Allow(first.GetId(), "can_list_users", "platform:gatehouse")
	page, err := s.as(first).ListUsers(t.Context(), &identityv1.ListUsersRequest{PageSize: 2})
	check.NoError(t, err)
	rest, err := s.as(first).ListUsers(t.Context(), &identityv1.ListUsersRequest{PageSize: 2, PageToken: page.GetNextPageToken()})
	check.NoError(t, err)
	var got []string
	for _, u := range append(page.GetUsers(), rest.GetUsers()...) {
		got = append(got, u.GetId())
	}
	if want := []string{first.GetId(), second.GetId(), third.GetId()}; !slices.Equal(got, want) || rest.GetNextPageToken() != "" {
		t.Fatalf("got %v, want %v", got, want)
	}
	_, err = s.as(first).ListUsers(t.Context(), &identityv1.ListUsersRequest{
		OrganizationId: second.GetOrganizationId(), PageToken: page.GetNextPageToken(),
	})
	wantViolation(t, err, "page_token", "")
}

// R52: an organization whose users one may not list is answered like an unknown one; all users are refused openly.
func TestListUsersNeedsAPermission(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u, foreign := s.signedUp(t), s.signedUp(t)
	s.grants.Allow(u.GetId(), "can_list_users", "organization:"+u.GetOrganizationId())
	_, err := s.as(u).ListUsers(t.Context(), &identityv1.ListUsersRequest{OrganizationId: u.GetOrganizationId()})
	check.NoError(t, err)
	for _, id := range []string{foreign.GetOrganizationId(), uuid.NewString()} {
		_, err = s.as(u).ListUsers(t.Context(), &identityv1.ListUsersRequest{OrganizationId: id})
		wantError(t, err, apierr.NotFound, "ORGANIZATION_NOT_FOUND")
	}
	_, err = s.as(u).ListUsers(t.Context(), &identityv1.ListUsersRequest{})
	wantError(t, err, apierr.PermissionDenied, "PERMISSION_DENIED")
}
