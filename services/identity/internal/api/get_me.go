package api

import (
	"context"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// GetMe returns the user of the token with everything that the user may do.
func (s *UserService) GetMe(ctx context.Context, _ *identityv1.GetMeRequest) (*identityv1.GetMeResponse, error) {
	subject, err := subject(ctx)
	if err != nil {
		return nil, err
	}
	me, err := s.memberships.Me(ctx, subject.OrganizationID, subject.UserID)
	if err != nil {
		return nil, err
	}
	response := &identityv1.GetMeResponse{User: userMessage(me.User), Permissions: me.Permissions}
	for _, m := range me.Organizations {
		response.Organizations = append(response.Organizations, &identityv1.Membership{
			Organization: organizationMessage(m.Organization), Permissions: m.Permissions,
		})
	}
	return response, nil
}
