package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// RegisterUser creates a user, and a personal organization when none is named.
func (s *UserDirectoryService) RegisterUser(
	ctx context.Context, r *identityv1.RegisterUserRequest,
) (*identityv1.RegisterUserResponse, error) {
	u, token, err := s.users.Register(ctx, user.New{
		ID:             r.GetId(),
		OrganizationID: r.GetOrganizationId(),
		Email:          r.GetEmail(),
		EmailVerified:  r.GetEmailVerified(),
		DisplayName:    r.GetDisplayName(),
	})
	if err != nil {
		return nil, err
	}
	request.Wrote(ctx, token)
	return &identityv1.RegisterUserResponse{User: userMessage(u), ConsistencyToken: token}, nil
}
