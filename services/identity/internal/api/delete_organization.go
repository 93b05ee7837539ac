package api

import (
	"context"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// DeleteOrganization removes an organization without users.
func (s *OrganizationDirectoryService) DeleteOrganization(
	ctx context.Context, r *identityv1.DeleteOrganizationRequest,
) (*identityv1.DeleteOrganizationResponse, error) {
	if err := s.organizations.Delete(ctx, canonical(r.GetId()), r.GetEtag()); err != nil {
		return nil, err
	}
	return &identityv1.DeleteOrganizationResponse{}, nil
}
