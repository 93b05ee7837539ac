package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// ActivateUser makes an invited user active.
func (s *UserDirectoryService) ActivateUser(ctx context.Context, r *identityv1.ActivateUserRequest) (*identityv1.ActivateUserResponse, error) {
	u, token, err := s.users.Activate(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	request.Wrote(ctx, token)
	return &identityv1.ActivateUserResponse{User: userMessage(u), ConsistencyToken: token}, nil
}
