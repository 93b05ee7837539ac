package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// ConfirmTotp enrols an authenticator by its first code.
func (s *FactorService) ConfirmTotp(ctx context.Context, r *authv1.ConfirmTotpRequest) (*authv1.ConfirmTotpResponse, error) {
	c, err := change(ctx)
	if err != nil {
		return nil, err
	}
	codes, err := s.factors.Confirm(ctx, c, r.GetToken(), r.GetCode())
	if err != nil {
		return nil, err
	}
	return &authv1.ConfirmTotpResponse{RecoveryCodes: codes}, nil
}
