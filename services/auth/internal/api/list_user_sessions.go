package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// ListUserSessions returns where a user is signed in.
func (s *SessionService) ListUserSessions(ctx context.Context, r *authv1.ListUserSessionsRequest) (*authv1.ListUserSessionsResponse, error) {
	list, next, err := s.page(ctx, r.GetUserId(), r.GetPageSize(), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	return &authv1.ListUserSessionsResponse{Sessions: list, NextPageToken: next}, nil
}
