package api

import (
	"context"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// RestoreUser lets a suspended user sign in again.
func (s *UserService) RestoreUser(ctx context.Context, r *identityv1.RestoreUserRequest) (*identityv1.RestoreUserResponse, error) {
	scope, err := reach(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	u, err := s.users.Restore(ctx, scope, r.GetId())
	if err != nil {
		return nil, err
	}
	return &identityv1.RestoreUserResponse{User: userMessage(u)}, nil
}
