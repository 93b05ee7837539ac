package identity

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	identityreason "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
)

// Organizations implements factor.Organizations.
type Organizations struct {
	client identityv1.OrganizationDirectoryServiceClient
}

// NewOrganizations returns the organizations behind a client.
func NewOrganizations(client identityv1.OrganizationDirectoryServiceClient) *Organizations {
	return &Organizations{client: client}
}

// HasOrganization implements factor.Organizations.
func (o *Organizations) HasOrganization(ctx context.Context, id string) (bool, error) {
	_, err := o.client.GetOrganization(ctx, &identityv1.GetOrganizationRequest{Id: id})
	gone := identityreason.OrganizationNotFound()
	if err = rpcstatus.FromCallee(ctx, err, reason.IdentityUnavailable(), gone); errors.Is(err, gone) {
		return false, nil
	}
	return err == nil, err
}
