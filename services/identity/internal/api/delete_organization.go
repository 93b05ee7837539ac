package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// DeleteOrganization removes an organization without users.
func (s *OrganizationDirectoryService) DeleteOrganization(
	ctx context.Context, r *identityv1.DeleteOrganizationRequest,
) (*identityv1.DeleteOrganizationResponse, error) {
	token, err := s.organizations.Delete(ctx, r.GetId(), r.GetEtag())
	if err != nil {
		return nil, err
	}
	request.Wrote(ctx, token)
	return &identityv1.DeleteOrganizationResponse{}, nil
}
