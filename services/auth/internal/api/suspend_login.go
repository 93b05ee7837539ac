package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// SuspendLogin ends all sessions of a user and refuses to sign the user in.
func (s *LoginService) SuspendLogin(ctx context.Context, req *authv1.SuspendLoginRequest) (*authv1.SuspendLoginResponse, error) {
	if err := s.logins.Suspend(ctx, req.GetUserId(), req.GetRevision()); err != nil {
		return nil, err
	}
	return &authv1.SuspendLoginResponse{}, nil
}
