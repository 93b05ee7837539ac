package api

import (
	"context"

	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// UpdateRelationships changes any relationships.
func (s *RelationshipService) UpdateRelationships(ctx context.Context, r *authzv1.UpdateRelationshipsRequest) (*authzv1.UpdateRelationshipsResponse, error) {
	program, err := program(ctx)
	if err != nil {
		return nil, err
	}
	token, err := s.relations.Write(ctx, program, relationship.Change{
		ID: s.newID(), Writes: tuples(r.GetWrites()), Deletes: tuples(r.GetDeletes()), Preconditions: preconditions(r.GetPreconditions()),
	}, nil)
	if err != nil {
		return nil, err
	}
	return &authzv1.UpdateRelationshipsResponse{ConsistencyToken: token}, nil
}
