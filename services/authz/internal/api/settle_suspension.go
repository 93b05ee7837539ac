package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/relation"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// SettleSuspension keeps a suspended user from counting until returned.
func (s *AuthzService) SettleSuspension(ctx context.Context, r *authzv1.SettleSuspensionRequest) (*authzv1.SettleSuspensionResponse, error) {
	u := relationship.Suspension{User: relation.User(r.GetUserId()), Revision: r.GetRevision(), Returned: !r.GetSuspended()}
	if err := s.relations.Settle(ctx, u); err != nil {
		return nil, err
	}
	return &authzv1.SettleSuspensionResponse{}, nil
}
