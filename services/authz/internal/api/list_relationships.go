package api

import (
	"context"

	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// ListRelationships returns one page of the relationships.
func (s *RelationshipService) ListRelationships(ctx context.Context, r *authzv1.ListRelationshipsRequest) (*authzv1.ListRelationshipsResponse, error) {
	page, next, err := s.page(ctx, r)
	if err != nil {
		return nil, err
	}
	return &authzv1.ListRelationshipsResponse{Relationships: page, NextPageToken: next}, nil
}
