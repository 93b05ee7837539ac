package usertest

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Plain is a store that is told what the rules make of the event of the context, for tests that are
// about rows.
type Plain struct {
	user.Store
	user.DeletionStore
}

// Create stores a user.
func (p Plain) Create(ctx context.Context, u user.User, personal *organization.Organization) (stored user.User, token string, err error) {
	return p.Store.Create(ctx, user.NewCreation(event.FromContext(ctx), u, personal))
}

// Update changes a user.
func (p Plain) Update(ctx context.Context, scope user.Scope, id string, change func(user.User) (user.User, error)) (user.User, error) {
	return p.Store.Update(ctx, scope, id, func(u user.User) (user.User, event.Event, error) {
		next, err := change(u)
		return next, user.Updated(event.FromContext(ctx), u), err
	})
}

// BeginDelete begins a deletion.
func (p Plain) BeginDelete(
	ctx context.Context, scope user.Scope, id string, due time.Time, check func(user.User, bool) error,
) (user.Deletion, string, error) {
	return p.DeletionStore.BeginDelete(ctx, scope, id, due, func(u user.User, ends bool) (fact.Fact, error) {
		return user.Deleted(event.FromContext(ctx), u), check(u, ends)
	})
}

// FinishDelete finishes a deletion, without a request as the reconciler does.
func (p Plain) FinishDelete(ctx context.Context, d user.Deletion, now time.Time) error {
	by := event.FromContext(ctx)
	if by.Action == "" {
		by = event.Own(ctx, "identity", "organization.deleted", "organization")
	}
	return p.DeletionStore.FinishDelete(ctx, d, now, user.Ended(by, d.OrganizationID))
}
