package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// DeleteClient removes a client and ends its sessions.
func (s *ClientService) DeleteClient(ctx context.Context, r *authv1.DeleteClientRequest) (*authv1.DeleteClientResponse, error) {
	if err := s.clients.Delete(ctx, r.GetId(), r.GetEtag()); err != nil {
		return nil, err
	}
	return &authv1.DeleteClientResponse{}, nil
}
