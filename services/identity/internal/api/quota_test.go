package api_test

import (
	"fmt"
	"testing"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// people describes users of an import with addresses of their own.
func people(name string, count int) []*identityv1.ImportedUser {
	users := make([]*identityv1.ImportedUser, count)
	for i := range users {
		users[i] = &identityv1.ImportedUser{Email: fmt.Sprintf("%s%d@example.com", name, i)}
	}
	return users
}

// R95: who owns a personal organization fills it up to the quota, by creations and imports alike;
// of a message with which it would have more, nothing is stored. Administrators of the platform are
// not bound, also where they may do so as owners.
func TestQuotaOfPersonalOrganizations(t *testing.T) {
	t.Parallel()
	const quota = 110
	s := newBoundService(t, quota)
	ada := s.importer(t)
	o := ada.GetOrganizationId()
	_, trailer, err := s.imported(t, ada, part(o, people("a", 100)...), part(o, people("b", quota-100)...), part(o, people("c", 1)...))
	wantError(t, err, apierr.FailedPrecondition, "ORGANIZATION_FULL")
	wantStored(t, trailer, "1")
	s.wantUsers(t, ada, 101)
	for i := range quota - 101 {
		_, err := s.as(ada).CreateUser(t.Context(), &identityv1.CreateUserRequest{OrganizationId: o, Email: fmt.Sprintf("d%d@example.com", i)})
		check.NoError(t, err)
	}
	one := &identityv1.CreateUserRequest{OrganizationId: o, Email: "one@example.com"}
	_, err = s.as(ada).CreateUser(t.Context(), one)
	wantError(t, err, apierr.FailedPrecondition, "ORGANIZATION_FULL")
	answer, _, err := s.imported(t, ada, part(o, people("a", 100)...))
	if err != nil || answer.GetExists() != 100 {
		t.Errorf("who is there is imported again: %v, %v", answer, err)
	}

	s.grants.Allow(ada.GetId(), "can_create_users", "platform:gatehouse")
	_, err = s.as(ada).CreateUser(t.Context(), one)
	check.NoError(t, err)
	_, _, err = s.imported(t, ada, part(o, people("e", 20)...))
	check.NoError(t, err)
	s.wantUsers(t, ada, quota+21)
	s.grants.Revoke(ada.GetId(), "can_create_users", "platform:gatehouse")
	one.Email = "two@example.com"
	_, err = s.as(ada).CreateUser(t.Context(), one)
	wantError(t, err, apierr.FailedPrecondition, "ORGANIZATION_FULL")
}

// wantUsers fails unless the organization of a user has so many.
func (s service) wantUsers(t *testing.T, by *identityv1.User, want int) {
	t.Helper()
	s.grants.Allow(by.GetId(), "can_list_users", "organization:"+by.GetOrganizationId())
	page, err := s.as(by).ListUsers(t.Context(), &identityv1.ListUsersRequest{OrganizationId: by.GetOrganizationId(), PageSize: 1000})
	check.NoError(t, err)
	if len(page.GetUsers()) != want {
		t.Errorf("the organization has %d users, want %d", len(page.GetUsers()), want)
	}
}
