package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
)

// ResetPassword replaces a password by a code that was mailed.
func (s *RecoveryService) ResetPassword(ctx context.Context, r *authv1.ResetPasswordRequest) (*authv1.ResetPasswordResponse, error) {
	err := s.resets.Reset(ctx, reset.Reset{
		Code: proof.Code(r.GetCode()), NewPassword: r.GetNewPassword(), Event: event.FromContext(ctx),
		Factor: factor.Given{Code: r.GetTotpCode(), RecoveryCode: r.GetRecoveryCode(), Accept: request.ClientOf(ctx).Language},
	})
	if err != nil {
		return nil, err
	}
	return &authv1.ResetPasswordResponse{}, nil
}
