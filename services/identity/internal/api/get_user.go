package api

import (
	"context"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// GetUser returns one user.
func (s *UserService) GetUser(ctx context.Context, r *identityv1.GetUserRequest) (*identityv1.GetUserResponse, error) {
	scope, err := reach(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	u, err := s.users.Get(ctx, scope, r.GetId())
	if err != nil {
		return nil, err
	}
	return &identityv1.GetUserResponse{User: userMessage(u)}, nil
}
