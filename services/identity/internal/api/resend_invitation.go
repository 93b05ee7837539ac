package api

import (
	"context"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// ResendInvitation mails a new code. Authz has admitted the request to this one user, wherever it
// is.
func (s *InvitationService) ResendInvitation(ctx context.Context, r *identityv1.ResendInvitationRequest) (*identityv1.ResendInvitationResponse, error) {
	u, err := s.users.ResendInvitation(ctx, user.Everywhere(), r.GetUserId())
	if err != nil {
		return nil, err
	}
	return &identityv1.ResendInvitationResponse{User: userMessage(u)}, nil
}
