package api

import (
	"context"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// DeleteUser ends the user's sessions, removes the login and then the user.
func (s *UserService) DeleteUser(ctx context.Context, r *identityv1.DeleteUserRequest) (*identityv1.DeleteUserResponse, error) {
	organizationID, err := tenant(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.users.Delete(ctx, organizationID, r.GetId(), r.GetEtag()); err != nil {
		return nil, err
	}
	return &identityv1.DeleteUserResponse{}, nil
}
