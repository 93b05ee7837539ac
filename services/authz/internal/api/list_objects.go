package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/relation"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// ListObjects returns the objects to which a subject has a relation.
func (s *AuthzService) ListObjects(ctx context.Context, r *authzv1.ListObjectsRequest) (*authzv1.ListObjectsResponse, error) {
	if err := s.fresh(ctx, r.GetConsistencyToken()); err != nil {
		return nil, err
	}
	objects, err := s.engine.ListObjects(ctx, relation.Canonical(r.GetSubject()), r.GetRelation(), r.GetObjectType())
	if err != nil {
		return nil, err
	}
	return &authzv1.ListObjectsResponse{Objects: objects}, nil
}
