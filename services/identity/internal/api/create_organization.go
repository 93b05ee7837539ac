package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// CreateOrganization creates an organization.
func (s *OrganizationDirectoryService) CreateOrganization(
	ctx context.Context, r *identityv1.CreateOrganizationRequest,
) (*identityv1.CreateOrganizationResponse, error) {
	o, token, err := s.organizations.Create(ctx, r.GetId(), r.GetDisplayName())
	if err != nil {
		return nil, err
	}
	request.Wrote(ctx, token)
	return &identityv1.CreateOrganizationResponse{Organization: organizationMessage(o)}, nil
}
