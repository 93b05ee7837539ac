package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/resource"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// ListUsers returns one page of an organization's users, or of all users.
func (s *UserService) ListUsers(ctx context.Context, r *identityv1.ListUsersRequest) (*identityv1.ListUsersResponse, error) {
	list := []string{"users", r.GetOrganizationId(), r.GetFilter()}
	where, err := s.filters.Parse(r.GetFilter())
	if err != nil {
		return nil, err
	}
	for i, c := range where {
		if c.Field == "state" {
			where[i].Value = stateNamed(c.Value)
		}
	}
	after, err := resource.ParsePageToken(r.GetPageToken(), list...)
	if err != nil {
		return nil, err
	}
	users, next, err := s.users.List(ctx, among(r.GetOrganizationId()), resource.Query{Where: where, After: after, Limit: int(r.GetPageSize())})
	if err != nil {
		return nil, err
	}
	response := &identityv1.ListUsersResponse{Users: make([]*identityv1.User, 0, len(users))}
	for _, u := range users {
		response.Users = append(response.Users, userMessage(u))
	}
	response.NextPageToken, err = resource.PageToken(next, list...)
	return response, err
}

// stateNamed returns the state that the contract calls by a name.
func stateNamed(name any) user.State {
	for state, value := range states() {
		if value.String() == name {
			return state
		}
	}
	return ""
}
