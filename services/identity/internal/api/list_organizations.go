package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/resource"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// ListOrganizations returns one page of organizations.
func (s *OrganizationDirectoryService) ListOrganizations(
	ctx context.Context, r *identityv1.ListOrganizationsRequest,
) (*identityv1.ListOrganizationsResponse, error) {
	scope := []string{"organizations", r.GetFilter()}
	where, err := s.filters.Parse(r.GetFilter())
	if err != nil {
		return nil, err
	}
	after, err := resource.ParsePageToken(r.GetPageToken(), scope...)
	if err != nil {
		return nil, err
	}
	organizations, next, err := s.organizations.List(ctx, resource.Query{Where: where, After: after, Limit: int(r.GetPageSize())})
	if err != nil {
		return nil, err
	}
	response := &identityv1.ListOrganizationsResponse{Organizations: make([]*identityv1.Organization, 0, len(organizations))}
	for _, o := range organizations {
		response.Organizations = append(response.Organizations, organizationMessage(o))
	}
	response.NextPageToken, err = resource.PageToken(next, scope...)
	return response, err
}
