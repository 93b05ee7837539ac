package organizationtest

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
)

// Plain is a store that is told what the rules make of the event of the context, for tests that are
// about rows.
type Plain struct{ organization.Store }

// Create stores an organization.
func (p Plain) Create(ctx context.Context, o organization.Organization) (stored organization.Organization, token string, err error) {
	return p.Store.Create(ctx, o, organization.Created(event.FromContext(ctx), o.ID))
}

// Update changes an organization.
func (p Plain) Update(
	ctx context.Context, id string, change func(organization.Organization) (organization.Organization, error),
) (organization.Organization, error) {
	return p.Store.Update(ctx, id, func(o organization.Organization) (organization.Organization, event.Event, error) {
		next, err := change(o)
		return next, organization.Updated(event.FromContext(ctx), id), err
	})
}

// Delete removes an organization.
func (p Plain) Delete(ctx context.Context, id string, check func(organization.Organization) error) (token string, err error) {
	return p.Store.Delete(ctx, id, func(o organization.Organization) (fact.Fact, error) {
		return organization.Deleted(event.FromContext(ctx), id), check(o)
	})
}
