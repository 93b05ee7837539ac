package api_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/google/uuid"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

func TestListUsers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	directory := identityv1.NewUserDirectoryServiceClient(s.As("auth"))
	first, foreign := s.signedUp(t), s.signedUp(t)
	want := []string{first.GetId()}
	for i := range 4 {
		r, err := directory.CreateUser(t.Context(), &identityv1.CreateUserRequest{
			Id: uuid.NewString(), OrganizationId: first.GetOrganizationId(), Email: strconv.Itoa(i) + "@example.com",
		})
		noError(t, err)
		want = append(want, r.GetUser().GetId())
	}
	list := func(r *identityv1.ListUsersRequest) *identityv1.ListUsersResponse {
		t.Helper()
		if r.OrganizationId == "" {
			r.OrganizationId = first.GetOrganizationId()
		}
		page, err := directory.ListUsers(t.Context(), r)
		noError(t, err)
		return page
	}
	var got []string
	var tokens []string
	for token := ""; ; {
		page := list(&identityv1.ListUsersRequest{PageSize: 2, PageToken: token})
		for _, u := range page.GetUsers() {
			got = append(got, u.GetId())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
		tokens = append(tokens, token)
	}
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
	if page := list(&identityv1.ListUsersRequest{Filter: `email = "2@example.com"`}); len(page.GetUsers()) != 1 || page.GetUsers()[0].GetId() != want[3] {
		t.Fatalf("by email: got %v", page)
	}
	if page := list(&identityv1.ListUsersRequest{Filter: `create_time > "` + first.GetCreateTime().AsTime().Format("2006-01-02T15:04:05.999999Z07:00") + `"`}); len(page.GetUsers()) != 4 {
		t.Fatalf("by time: got %v", page)
	}
	for name, c := range map[string]struct {
		r     *identityv1.ListUsersRequest
		field string
	}{
		"token of another organization": {&identityv1.ListUsersRequest{OrganizationId: foreign.GetOrganizationId(), PageToken: tokens[0]}, "page_token"},
		"token of another filter":       {&identityv1.ListUsersRequest{Filter: `email = "x"`, PageToken: tokens[0]}, "page_token"},
		"made up token":                 {&identityv1.ListUsersRequest{PageToken: "2"}, "page_token"},
		"bad filter":                    {&identityv1.ListUsersRequest{Filter: `state = "deleting"`}, "filter"},
		"negative page size":            {&identityv1.ListUsersRequest{PageSize: -1}, "page_size"},
		"too large page size":           {&identityv1.ListUsersRequest{PageSize: 1001}, "page_size"},
		"bad organization":              {&identityv1.ListUsersRequest{OrganizationId: "x"}, "organization_id"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.r.OrganizationId == "" {
				c.r.OrganizationId = first.GetOrganizationId()
			}
			_, err := directory.ListUsers(t.Context(), c.r)
			wantViolation(t, err, c.field, "")
		})
	}
}
