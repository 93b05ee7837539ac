package api

import (
	"context"

	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
)

// CheckRelationship answers one question.
func (s *RelationshipService) CheckRelationship(ctx context.Context, r *authzv1.CheckRelationshipRequest) (*authzv1.CheckRelationshipResponse, error) {
	allowed, err := s.check(ctx, r.GetConsistencyToken(), r.GetSubject(), fga.Question{Relation: r.GetRelation(), Object: r.GetObject()})
	if err != nil {
		return nil, err
	}
	return &authzv1.CheckRelationshipResponse{Allowed: allowed[0]}, nil
}
