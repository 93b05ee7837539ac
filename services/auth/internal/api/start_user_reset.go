package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// StartUserReset mails a user a code with which the password is reset.
func (s *RecoveryService) StartUserReset(ctx context.Context, r *authv1.StartUserResetRequest) (*authv1.StartUserResetResponse, error) {
	if err := s.resets.Start(ctx, r.GetUserId()); err != nil {
		return nil, err
	}
	return &authv1.StartUserResetResponse{}, nil
}
