package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/resource"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// ListClients returns one page of clients.
func (s *ClientService) ListClients(ctx context.Context, r *authv1.ListClientsRequest) (*authv1.ListClientsResponse, error) {
	const list = "clients"
	after, err := resource.ParsePageToken(r.GetPageToken(), list)
	if err != nil {
		return nil, err
	}
	clients, next, err := s.clients.List(ctx, resource.Query{After: after, Limit: int(r.GetPageSize())})
	if err != nil {
		return nil, err
	}
	response := &authv1.ListClientsResponse{Clients: make([]*authv1.OAuthClient, 0, len(clients))}
	for _, c := range clients {
		response.Clients = append(response.Clients, clientMessage(c))
	}
	response.NextPageToken, err = resource.PageToken(next, list)
	return response, err
}
