package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// Recover mails a code to an address that has a login.
func (s *RecoveryService) Recover(ctx context.Context, r *authv1.RecoverRequest) (*authv1.RecoverResponse, error) {
	if err := s.resets.Ask(ctx, r.GetEmail(), request.ClientOf(ctx).Language); err != nil {
		return nil, err
	}
	return &authv1.RecoverResponse{}, nil
}
