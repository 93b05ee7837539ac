package api

import (
	"context"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// SuspendUser keeps a user from signing in.
func (s *UserService) SuspendUser(ctx context.Context, r *identityv1.SuspendUserRequest) (*identityv1.SuspendUserResponse, error) {
	who, err := subject(ctx)
	if err != nil {
		return nil, err
	}
	if who.UserID == r.GetId() {
		return nil, reason.SelfSuspension()
	}
	u, err := s.users.Suspend(ctx, user.Everywhere(), r.GetId())
	if err != nil {
		return nil, err
	}
	return &identityv1.SuspendUserResponse{User: userMessage(u)}, nil
}
