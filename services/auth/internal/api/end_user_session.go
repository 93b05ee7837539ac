package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// EndUserSession ends one session of a user.
func (s *SessionService) EndUserSession(ctx context.Context, r *authv1.EndUserSessionRequest) (*authv1.EndUserSessionResponse, error) {
	p, err := s.person(ctx, r.GetUserId())
	if err != nil {
		return nil, err
	}
	if err := s.overview.EndOne(ctx, p, r.GetSessionId()); err != nil {
		return nil, err
	}
	return &authv1.EndUserSessionResponse{}, nil
}
