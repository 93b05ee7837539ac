package api

import (
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

// ClientService implements gatehouse.auth.v1.ClientService.
type ClientService struct {
	authv1.UnsafeClientServiceServer // a forgotten method does not compile
	clients                          *client.Service
}

// NewClientService returns the service for administrators of clients.
func NewClientService(clients *client.Service) *ClientService {
	return &ClientService{clients: clients}
}

func clientMessage(c client.Client) *authv1.OAuthClient {
	m := &authv1.OAuthClient{
		Id: c.ID, Name: c.Name, Public: c.Public, RedirectUris: c.RedirectURIs, PostLogoutRedirectUris: c.PostLogoutRedirectURIs,
		WebOrigins: c.WebOrigins, Audiences: c.Audiences, PlatformApi: c.PlatformAPI(), IdTokenAlgorithm: c.IDTokenAlgorithm,
		RequireVerifiedEmail: c.RequireVerifiedEmail,
		Scopes:               slices.DeleteFunc(slices.Clone(c.Scopes), func(s string) bool { return s == client.ScopePlatform }),
		FirstParty:           true, CreateTime: timestamppb.New(c.CreateTime), UpdateTime: timestamppb.New(c.UpdateTime), Etag: c.ETag(),
	}
	for _, s := range c.Secrets {
		m.Secrets = append(m.Secrets, &authv1.ClientSecret{Id: s.ID, CreateTime: timestamppb.New(s.CreateTime)})
	}
	return m
}
