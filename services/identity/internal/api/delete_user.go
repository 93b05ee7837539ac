package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// DeleteUser ends the user's sessions, removes the login and then the user.
func (s *UserService) DeleteUser(ctx context.Context, r *identityv1.DeleteUserRequest) (*identityv1.DeleteUserResponse, error) {
	scope, err := reach(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	token, err := s.users.Delete(ctx, scope, r.GetId(), r.GetEtag())
	request.Wrote(ctx, token)
	if err != nil {
		return nil, err
	}
	return &identityv1.DeleteUserResponse{}, nil
}
