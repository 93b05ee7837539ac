package organization

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
)

// Store keeps organizations. Each method is one transaction, with what the change tells others.
// Methods that name an unknown organization return NotFound(). A token names the relationships of a
// change (request.ConsistencyToken); it is empty when nothing changed.
type Store interface {
	// Create stores the organization unless one with its id exists, and returns the stored one. Concurrent duplicates are safe.
	Create(ctx context.Context, o Organization, f fact.Fact) (stored Organization, token string, err error)
	// Get returns one organization.
	Get(ctx context.Context, id string) (Organization, error)
	// List returns organizations, oldest first.
	List(ctx context.Context, q resource.Query) ([]Organization, error)
	// Update locks the organization, calls change with it and, if its revision differs, stores the
	// result and records the event. An error of change is returned as it is and nothing changes.
	Update(ctx context.Context, id string, change func(Organization) (Organization, event.Event, error)) (Organization, error)
	// Delete locks the organization, calls decide with it and removes it with the fact that decide
	// returns, or returns NotEmpty() when it has users. An error of decide is returned as it is and
	// nothing changes.
	Delete(ctx context.Context, id string, decide func(Organization) (fact.Fact, error)) (token string, err error)
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
	stored, token, err := s.store.Create(ctx, Organization{ID: id, DisplayName: displayName, Revision: 1, CreateTime: now, UpdateTime: now},
		Created(event.FromContext(ctx), id))
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
	return s.store.Update(ctx, id, func(o Organization) (Organization, event.Event, error) {
		if err := resource.CheckETag(tag, o.ETag()); err != nil {
			return o, event.Event{}, err
		}
		return c.apply(o, now), Updated(event.FromContext(ctx), id), nil
	})
}

// Delete removes an organization without users that still has the tag; an empty tag meets any revision. The token names the removal of
// its relationships.
func (s *Service) Delete(ctx context.Context, id, tag string) (token string, err error) {
	return s.store.Delete(ctx, id, func(o Organization) (fact.Fact, error) {
		return Deleted(event.FromContext(ctx), id), resource.CheckETag(tag, o.ETag())
	})
}
