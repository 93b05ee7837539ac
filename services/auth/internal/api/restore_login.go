package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// RestoreLogin lets a user sign in again.
func (s *LoginService) RestoreLogin(ctx context.Context, req *authv1.RestoreLoginRequest) (*authv1.RestoreLoginResponse, error) {
	if err := s.logins.Restore(ctx, req.GetUserId(), req.GetRevision()); err != nil {
		return nil, err
	}
	return &authv1.RestoreLoginResponse{}, nil
}
