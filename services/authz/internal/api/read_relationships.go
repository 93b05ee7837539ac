package api

import (
	"context"

	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// ReadRelationships returns one page of the relationships.
func (s *AuthzService) ReadRelationships(ctx context.Context, r *authzv1.ReadRelationshipsRequest) (*authzv1.ReadRelationshipsResponse, error) {
	page, next, err := s.page(ctx, r)
	if err != nil {
		return nil, err
	}
	return &authzv1.ReadRelationshipsResponse{Relationships: page, NextPageToken: next}, nil
}
