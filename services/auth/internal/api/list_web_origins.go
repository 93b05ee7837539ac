package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

// ClientDirectoryService implements gatehouse.auth.v1.ClientDirectoryService.
type ClientDirectoryService struct {
	authv1.UnsafeClientDirectoryServiceServer
	clients client.Store
}

// NewClientDirectoryService returns the service for programs that let browsers call.
func NewClientDirectoryService(clients client.Store) *ClientDirectoryService {
	return &ClientDirectoryService{clients: clients}
}

// ListWebOrigins returns the web origins of all clients.
func (s *ClientDirectoryService) ListWebOrigins(ctx context.Context, _ *authv1.ListWebOriginsRequest) (*authv1.ListWebOriginsResponse, error) {
	origins, err := s.clients.Origins(ctx)
	if err != nil {
		return nil, err
	}
	response := &authv1.ListWebOriginsResponse{}
	for _, o := range origins {
		response.Origins = append(response.Origins, &authv1.WebOrigin{Origin: o.Origin, PlatformApi: o.PlatformAPI})
	}
	return response, nil
}
