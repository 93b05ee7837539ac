package organization

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/resource"
)

// Store keeps organizations. Each method is one transaction, with the event of the change and the relationships that follow from it.
// Methods that name an unknown organization return NotFound(). A token names the relationships of a change (internal/consistency); it is
// empty when nothing changed.
type Store interface {
	// Create stores the organization unless one with its id exists, and returns the stored one. Concurrent duplicates are safe.
	Create(ctx context.Context, o Organization) (stored Organization, token string, err error)
	// Get returns one organization.
	Get(ctx context.Context, id string) (Organization, error)
	// List returns organizations, oldest first.
	List(ctx context.Context, q resource.Query) ([]Organization, error)
	// Update locks the organization, calls change with it and stores the result if its revision differs. An error of change is
	// returned as it is and nothing changes.
	Update(ctx context.Context, id string, change func(Organization) (Organization, error)) (Organization, error)
	// Delete locks the organization, calls check with it and removes it, or returns NotEmpty() when it has users. An error of check
	// is returned as it is and nothing changes.
	Delete(ctx context.Context, id string, check func(Organization) error) (token string, err error)
}

// Service holds the rules of organizations.
type Service struct {
	store Store
	now   func() time.Time
}

// NewService returns the rules over a store.
func NewService(store Store, now func() time.Time) *Service {
	return &Service{store: store, now: now}
}

// Create creates an organization under the caller's id. Repeating it with the same name returns the organization as it is. The token
// names the organization's relationships; it is empty for a repeat.
func (s *Service) Create(ctx context.Context, id, displayName string) (o Organization, token string, err error) {
	now := s.now().UTC().Truncate(time.Microsecond)
	stored, token, err := s.store.Create(ctx, Organization{ID: id, DisplayName: displayName, Revision: 1, CreateTime: now, UpdateTime: now})
	if err != nil {
		return Organization{}, "", err
	}
	if stored.DisplayName != displayName || stored.Personal {
		return Organization{}, "", idTaken()
	}
	return stored, token, nil
}

// Get returns one organization.
func (s *Service) Get(ctx context.Context, id string) (Organization, error) {
	return s.store.Get(ctx, id)
}

// List returns one page, oldest first, and the cursor of the next page if there is one.
func (s *Service) List(ctx context.Context, q resource.Query) ([]Organization, *resource.Cursor, error) {
	size, ahead := q.Page()
	rows, err := s.store.List(ctx, ahead)
	if err != nil {
		return nil, nil, err
	}
	page, next := resource.Cut(rows, size, Organization.Cursor)
	return page, next, nil
}

// Update changes an organization that still has the tag; an empty tag meets any revision.
func (s *Service) Update(ctx context.Context, id, tag string, c Changes) (Organization, error) {
	now := s.now().UTC().Truncate(time.Microsecond)
	return s.store.Update(ctx, id, func(o Organization) (Organization, error) {
		if err := resource.CheckETag(tag, o.ETag()); err != nil {
			return o, err
		}
		return c.apply(o, now), nil
	})
}

// Delete removes an organization without users that still has the tag; an empty tag meets any revision. The token names the removal of
// its relationships.
func (s *Service) Delete(ctx context.Context, id, tag string) (token string, err error) {
	return s.store.Delete(ctx, id, func(o Organization) error { return resource.CheckETag(tag, o.ETag()) })
}
