package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// ListMySessions returns where the caller is signed in.
func (s *SessionService) ListMySessions(ctx context.Context, r *authv1.ListMySessionsRequest) (*authv1.ListMySessionsResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	list, next, err := s.page(ctx, who.UserID, r.GetPageSize(), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	return &authv1.ListMySessionsResponse{Sessions: list, NextPageToken: next}, nil
}
