package user

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/event"
)

// Email is what Auth says of a user's address.
type Email struct {
	UserID   string
	Address  string
	Verified bool
	Revision int64 // of both; it only grows
}

// SetEmail takes over what Auth says of a user's address. What it has said before that changes
// nothing any more.
func (s *Service) SetEmail(ctx context.Context, e Email) error {
	e.Address = address.Fold(e.Address)
	return s.store.SetEmail(ctx, e, s.clock(), event.FromContext(ctx))
}
