package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// VerifyEmail proves an address, and completes the sign-up that waits for that.
func (s *AuthService) VerifyEmail(ctx context.Context, r *authv1.VerifyEmailRequest) (*authv1.VerifyEmailResponse, error) {
	v, err := s.logins.VerifyEmail(ctx, login.Verification{
		Code: proof.Code(r.GetCode()), Password: r.GetPassword(), Accept: request.ClientOf(ctx).Language,
	})
	if err != nil {
		return nil, err
	}
	request.Wrote(ctx, v.ConsistencyToken)
	return &authv1.VerifyEmailResponse{}, nil
}
