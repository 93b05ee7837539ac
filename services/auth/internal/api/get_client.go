package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// GetClient returns one client.
func (s *ClientService) GetClient(ctx context.Context, r *authv1.GetClientRequest) (*authv1.GetClientResponse, error) {
	c, err := s.clients.Get(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	return &authv1.GetClientResponse{Client: clientMessage(c)}, nil
}
