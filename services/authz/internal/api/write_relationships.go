package api

import (
	"context"

	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// WriteRelationships changes relationships that follow from the calling program's own facts.
func (s *AuthzService) WriteRelationships(ctx context.Context, r *authzv1.WriteRelationshipsRequest) (*authzv1.WriteRelationshipsResponse, error) {
	program, err := program(ctx)
	if err != nil {
		return nil, err
	}
	change := relationship.Change{
		ID: r.GetId(), Writes: tuples(r.GetWrites()), Deletes: tuples(r.GetDeletes()), DeleteAllOf: r.GetDeleteAllOf(),
		Preconditions: preconditions(r.GetPreconditions()),
	}
	if err := s.authority.Check(program, change); err != nil {
		return nil, err
	}
	token, err := s.relations.Write(ctx, program, change, origin(r.GetOrigin()))
	if err != nil {
		return nil, err
	}
	return &authzv1.WriteRelationshipsResponse{ConsistencyToken: token}, nil
}
