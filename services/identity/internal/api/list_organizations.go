package api

import (
	"context"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/listing"
)

// ListOrganizations returns one page of organizations.
func (s *OrganizationDirectoryService) ListOrganizations(
	ctx context.Context, r *identityv1.ListOrganizationsRequest,
) (*identityv1.ListOrganizationsResponse, error) {
	scope := []string{"organizations", r.GetFilter()}
	where, err := s.filters.parse(r.GetFilter())
	if err != nil {
		return nil, err
	}
	after, err := parsePageToken(r.GetPageToken(), scope...)
	if err != nil {
		return nil, err
	}
	organizations, next, err := s.organizations.List(ctx, listing.Query{Where: where, After: after, Limit: int(r.GetPageSize())})
	if err != nil {
		return nil, err
	}
	response := &identityv1.ListOrganizationsResponse{Organizations: make([]*identityv1.Organization, 0, len(organizations))}
	for _, o := range organizations {
		response.Organizations = append(response.Organizations, organizationMessage(o))
	}
	response.NextPageToken, err = pageToken(next, scope...)
	return response, err
}
