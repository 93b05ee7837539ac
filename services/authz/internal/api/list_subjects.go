package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/relation"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// ListSubjects returns the subjects that have a relation to an object.
func (s *AuthzService) ListSubjects(ctx context.Context, r *authzv1.ListSubjectsRequest) (*authzv1.ListSubjectsResponse, error) {
	if err := s.fresh(ctx, r.GetConsistencyToken()); err != nil {
		return nil, err
	}
	subjects, err := s.engine.ListSubjects(ctx, relation.Canonical(r.GetObject()), r.GetRelation(), r.GetSubjectType())
	if err != nil {
		return nil, err
	}
	return &authzv1.ListSubjectsResponse{Subjects: subjects}, nil
}
