package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// AcceptInvitation makes the login of whoever shows the code of an invitation.
func (s *InvitationService) AcceptInvitation(ctx context.Context, r *authv1.AcceptInvitationRequest) (*authv1.AcceptInvitationResponse, error) {
	v, err := s.logins.AcceptInvitation(ctx, login.Acceptance{
		Code: proof.Code(r.GetCode()), Password: r.GetPassword(), Accept: request.ClientOf(ctx).Language,
	})
	if err != nil {
		return nil, err
	}
	request.Wrote(ctx, v.ConsistencyToken)
	return &authv1.AcceptInvitationResponse{}, nil
}
