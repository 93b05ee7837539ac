package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// CreateUser creates a user without a login, and a personal organization when none is named.
func (s *UserService) CreateUser(ctx context.Context, r *identityv1.CreateUserRequest) (*identityv1.CreateUserResponse, error) {
	u, token, err := s.users.Create(ctx, user.New{
		OrganizationID: r.GetOrganizationId(), Email: r.GetEmail(), DisplayName: r.GetDisplayName(), Unbounded: unbounded(ctx),
	})
	if err != nil {
		return nil, err
	}
	request.Wrote(ctx, token)
	return &identityv1.CreateUserResponse{User: userMessage(u)}, nil
}
