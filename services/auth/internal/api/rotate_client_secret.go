package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// RotateClientSecret gives a client one more secret.
func (s *ClientService) RotateClientSecret(
	ctx context.Context, r *authv1.RotateClientSecretRequest,
) (*authv1.RotateClientSecretResponse, error) {
	c, secret, err := s.clients.RotateSecret(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	return &authv1.RotateClientSecretResponse{Client: clientMessage(c), Secret: secret}, nil
}
