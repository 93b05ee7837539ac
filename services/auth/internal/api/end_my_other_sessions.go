package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// EndMyOtherSessions ends all sessions of the caller but that of the request.
func (s *SessionService) EndMyOtherSessions(ctx context.Context, _ *authv1.EndMyOtherSessionsRequest) (*authv1.EndMyOtherSessionsResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.overview.EndOthers(ctx, personOf(who), who.SessionID); err != nil {
		return nil, err
	}
	return &authv1.EndMyOtherSessionsResponse{}, nil
}
