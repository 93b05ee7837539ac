package api

import (
	"context"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// SetUserEmail takes over the address of a user as Auth has it.
func (s *UserDirectoryService) SetUserEmail(ctx context.Context, r *identityv1.SetUserEmailRequest) (*identityv1.SetUserEmailResponse, error) {
	err := s.users.SetEmail(ctx, user.Email{
		UserID: r.GetUserId(), Address: r.GetEmail(), Verified: r.GetEmailVerified(), Revision: r.GetRevision(),
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.SetUserEmailResponse{}, nil
}
