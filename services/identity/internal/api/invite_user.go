package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// InvitationService serves gatehouse.identity.v1.InvitationService: how people are invited.
type InvitationService struct {
	identityv1.UnsafeInvitationServiceServer
	users *user.Service
}

// NewInvitationService returns the handlers over the domain.
func NewInvitationService(users *user.Service) *InvitationService {
	return &InvitationService{users: users}
}

// InviteUser creates a user who is invited.
func (s *InvitationService) InviteUser(ctx context.Context, r *identityv1.InviteUserRequest) (*identityv1.InviteUserResponse, error) {
	u, token, err := s.users.Invite(ctx, user.New{
		OrganizationID: r.GetOrganizationId(), Email: r.GetEmail(), DisplayName: r.GetDisplayName(), Locale: r.GetLocale(), Unbounded: unbounded(ctx),
	})
	if err != nil {
		return nil, err
	}
	request.Wrote(ctx, token)
	return &identityv1.InviteUserResponse{User: userMessage(u)}, nil
}
