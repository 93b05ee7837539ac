package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// Refresh exchanges a refresh token for the next pair.
func (s *AuthService) Refresh(ctx context.Context, req *authv1.RefreshRequest) (*authv1.RefreshResponse, error) {
	t, err := s.sessions.Refresh(ctx, req.GetRefreshToken())
	if err != nil {
		return nil, err
	}
	return &authv1.RefreshResponse{
		AccessToken: t.Access, RefreshToken: t.Refresh, TokenType: tokenType, ExpiresIn: int32(t.ExpiresIn.Seconds()),
	}, nil
}
