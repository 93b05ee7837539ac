package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/resource/mask"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

// UpdateClient changes the fields that the mask names.
func (s *ClientService) UpdateClient(ctx context.Context, r *authv1.UpdateClientRequest) (*authv1.UpdateClientResponse, error) {
	wanted := r.GetClient()
	named, err := mask.Changed(r.GetUpdateMask(), "client", wanted, "name", "redirect_uris", "post_logout_redirect_uris", "web_origins", "audiences",
		"scopes", "platform_api", "id_token_algorithm", "require_verified_email")
	if err != nil {
		return nil, err
	}
	var n client.Changes
	take(&n.Name, &wanted.Name, named("name"))
	take(&n.RedirectURIs, &wanted.RedirectUris, named("redirect_uris"))
	take(&n.PostLogoutRedirectURIs, &wanted.PostLogoutRedirectUris, named("post_logout_redirect_uris"))
	take(&n.WebOrigins, &wanted.WebOrigins, named("web_origins"))
	take(&n.Audiences, &wanted.Audiences, named("audiences"))
	take(&n.Scopes, &wanted.Scopes, named("scopes"))
	take(&n.PlatformAPI, &wanted.PlatformApi, named("platform_api"))
	take(&n.IDTokenAlgorithm, &wanted.IdTokenAlgorithm, named("id_token_algorithm"))
	take(&n.RequireVerifiedEmail, &wanted.RequireVerifiedEmail, named("require_verified_email"))
	c, err := s.clients.Update(ctx, wanted.GetId(), r.GetEtag(), n)
	if err != nil {
		return nil, err
	}
	return &authv1.UpdateClientResponse{Client: clientMessage(c)}, nil
}

// take sets a change to the value of a field that is named.
func take[T any](change **T, value *T, named bool) {
	if named {
		*change = value
	}
}
