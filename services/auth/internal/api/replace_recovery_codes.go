package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// ReplaceRecoveryCodes makes new recovery codes.
func (s *FactorService) ReplaceRecoveryCodes(ctx context.Context, _ *authv1.ReplaceRecoveryCodesRequest) (*authv1.ReplaceRecoveryCodesResponse, error) {
	c, err := change(ctx)
	if err != nil {
		return nil, err
	}
	codes, err := s.factors.ReplaceCodes(ctx, c)
	if err != nil {
		return nil, err
	}
	return &authv1.ReplaceRecoveryCodesResponse{RecoveryCodes: codes}, nil
}
