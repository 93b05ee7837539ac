package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// SignOut ends the session of the bearer token.
func (s *AuthService) SignOut(ctx context.Context, _ *authv1.SignOutRequest) (*authv1.SignOutResponse, error) {
	c, _ := request.CallerFrom(ctx)
	if c.Subject == nil { // the contract says signed_in: the interceptor must have put it here
		return nil, apierr.InvalidToken().Saying("sign in first")
	}
	if err := s.sessions.End(ctx, c.Subject.UserID, c.Subject.SessionID); err != nil {
		return nil, err
	}
	return &authv1.SignOutResponse{}, nil
}
