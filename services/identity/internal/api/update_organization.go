package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/resource/mask"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
)

// UpdateOrganization changes the fields that the mask names.
func (s *OrganizationDirectoryService) UpdateOrganization(
	ctx context.Context, r *identityv1.UpdateOrganizationRequest,
) (*identityv1.UpdateOrganizationResponse, error) {
	if err := requireUUID("organization.id", r.GetOrganization().GetId()); err != nil {
		return nil, err
	}
	named, err := mask.Changed(r.GetUpdateMask(), "organization", r.GetOrganization(), "display_name")
	if err != nil {
		return nil, err
	}
	var c organization.Changes
	if named("display_name") {
		c.DisplayName = &r.GetOrganization().DisplayName
	}
	o, err := s.organizations.Update(ctx, r.GetOrganization().GetId(), r.GetEtag(), c)
	if err != nil {
		return nil, err
	}
	return &identityv1.UpdateOrganizationResponse{Organization: organizationMessage(o)}, nil
}
