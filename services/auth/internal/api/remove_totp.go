package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// RemoveTotp takes the caller's second factor away.
func (s *FactorService) RemoveTotp(ctx context.Context, _ *authv1.RemoveTotpRequest) (*authv1.RemoveTotpResponse, error) {
	c, err := change(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.factors.Remove(ctx, c); err != nil {
		return nil, err
	}
	return &authv1.RemoveTotpResponse{}, nil
}
