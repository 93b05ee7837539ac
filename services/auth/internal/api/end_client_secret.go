package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// EndClientSecret ends one of two secrets.
func (s *ClientService) EndClientSecret(ctx context.Context, r *authv1.EndClientSecretRequest) (*authv1.EndClientSecretResponse, error) {
	if err := s.clients.EndSecret(ctx, r.GetId(), r.GetSecretId()); err != nil {
		return nil, err
	}
	return &authv1.EndClientSecretResponse{}, nil
}
