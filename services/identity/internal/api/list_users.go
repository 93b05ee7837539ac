package api

import (
	"context"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/listing"
)

// ListUsers returns one page of an organization's users.
func (s *UserDirectoryService) ListUsers(
	ctx context.Context, r *identityv1.ListUsersRequest,
) (*identityv1.ListUsersResponse, error) {
	organizationID := canonical(r.GetOrganizationId())
	scope := []string{"users", organizationID, r.GetFilter()}
	where, err := s.filters.parse(r.GetFilter())
	if err != nil {
		return nil, err
	}
	after, err := parsePageToken(r.GetPageToken(), scope...)
	if err != nil {
		return nil, err
	}
	users, next, err := s.users.List(ctx, organizationID, listing.Query{Where: where, After: after, Limit: int(r.GetPageSize())})
	if err != nil {
		return nil, err
	}
	response := &identityv1.ListUsersResponse{Users: make([]*identityv1.User, 0, len(users))}
	for _, u := range users {
		response.Users = append(response.Users, userMessage(u))
	}
	response.NextPageToken, err = pageToken(next, scope...)
	return response, err
}
