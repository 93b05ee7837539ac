package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// EndUserSessions ends all sessions of a user.
func (s *SessionService) EndUserSessions(ctx context.Context, r *authv1.EndUserSessionsRequest) (*authv1.EndUserSessionsResponse, error) {
	p, err := s.person(ctx, r.GetUserId())
	if err != nil {
		return nil, err
	}
	if err := s.overview.EndOthers(ctx, p, ""); err != nil {
		return nil, err
	}
	return &authv1.EndUserSessionsResponse{}, nil
}
