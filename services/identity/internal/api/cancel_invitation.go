package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// CancelInvitation deletes a user who is invited. Authz has admitted the request to this one user,
// wherever it is.
func (s *InvitationService) CancelInvitation(ctx context.Context, r *identityv1.CancelInvitationRequest) (*identityv1.CancelInvitationResponse, error) {
	token, err := s.users.CancelInvitation(ctx, user.Everywhere(), r.GetUserId())
	request.Wrote(ctx, token)
	if err != nil {
		return nil, err
	}
	return &identityv1.CancelInvitationResponse{}, nil
}
