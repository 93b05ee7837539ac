package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// RemoveLogin ends all sessions of a user and removes the login.
func (s *LoginService) RemoveLogin(ctx context.Context, req *authv1.RemoveLoginRequest) (*authv1.RemoveLoginResponse, error) {
	if err := s.logins.Remove(ctx, req.GetUserId()); err != nil {
		return nil, err
	}
	return &authv1.RemoveLoginResponse{}, nil
}
