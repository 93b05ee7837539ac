package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// EndMySession ends one session of the caller.
func (s *SessionService) EndMySession(ctx context.Context, r *authv1.EndMySessionRequest) (*authv1.EndMySessionResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.overview.EndOne(ctx, personOf(who), r.GetSessionId()); err != nil {
		return nil, err
	}
	return &authv1.EndMySessionResponse{}, nil
}
