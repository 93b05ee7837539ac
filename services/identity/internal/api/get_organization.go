package api

import (
	"context"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// GetOrganization returns one organization.
func (s *OrganizationDirectoryService) GetOrganization(
	ctx context.Context, r *identityv1.GetOrganizationRequest,
) (*identityv1.GetOrganizationResponse, error) {
	o, err := s.organizations.Get(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	return &identityv1.GetOrganizationResponse{Organization: organizationMessage(o)}, nil
}
