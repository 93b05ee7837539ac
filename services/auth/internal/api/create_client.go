package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

// CreateClient registers an application.
func (s *ClientService) CreateClient(ctx context.Context, r *authv1.CreateClientRequest) (*authv1.CreateClientResponse, error) {
	c, secret, err := s.clients.Create(ctx, r.GetPublic(), client.Changes{
		Name: &r.Name, RedirectURIs: &r.RedirectUris, PostLogoutRedirectURIs: &r.PostLogoutRedirectUris, WebOrigins: &r.WebOrigins,
		Audiences: &r.Audiences, Scopes: &r.Scopes, PlatformAPI: &r.PlatformApi, IDTokenAlgorithm: &r.IdTokenAlgorithm,
		RequireVerifiedEmail: &r.RequireVerifiedEmail,
	})
	if err != nil {
		return nil, err
	}
	return &authv1.CreateClientResponse{Client: clientMessage(c), Secret: secret}, nil
}
