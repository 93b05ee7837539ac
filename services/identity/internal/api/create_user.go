package api

import (
	"context"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// CreateUser creates a user, and a personal organization when none is named.
func (s *UserDirectoryService) CreateUser(
	ctx context.Context, r *identityv1.CreateUserRequest,
) (*identityv1.CreateUserResponse, error) {
	u, err := s.users.Create(ctx, user.New{
		ID:             canonical(r.GetId()),
		OrganizationID: canonical(r.GetOrganizationId()),
		Email:          r.GetEmail(),
		DisplayName:    r.GetDisplayName(),
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.CreateUserResponse{User: userMessage(u)}, nil
}
