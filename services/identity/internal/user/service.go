package user

import (
	"context"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
)

// Service holds the rules of users.
type Service struct {
	store      Store
	deletions  DeletionStore
	standings  StandingStore
	departures Departures
	logins     Logins

	invitations     Invitations
	invitationStore InvitationStore

	quota int
	now   func() time.Time
	newID func() string
}

// Params are what a Service needs.
type Params struct {
	Store      Store
	Deletions  DeletionStore
	Standings  StandingStore
	Departures Departures
	Logins     Logins

	Invitations     Invitations
	InvitationStore InvitationStore

	Quota int // users of a personal organization; 0 for any number
	Now   func() time.Time
	NewID func() string // returns a random UUID
}

// NewService returns the rules over a store, Authz and Auth.
func NewService(p Params) *Service {
	return &Service{
		store: p.Store, deletions: p.Deletions, standings: p.Standings, departures: p.Departures, logins: p.Logins, invitations: p.Invitations, invitationStore: p.InvitationStore,
		quota: p.Quota, now: p.Now, newID: p.NewID,
	}
}

// New describes a user to create.
type New struct {
	ID             string // ignored by Create, which chooses one
	OrganizationID string // empty: a personal organization is created with the user
	Email          string
	DisplayName    string
	EmailVerified  bool
	Locale         string // BCP 47; empty when not said
	Unbounded      bool   // by who is not bound by the quota of personal organizations

	invitationDue time.Time // when the user is invited: of the mail; else zero
}

// Register creates a user under the caller's id. Repeating it with the same id and email returns
// the user as it is, suspended meanwhile or not; one who is invited becomes active. The token names
// the user's relationships, also of a repeat.
func (s *Service) Register(ctx context.Context, n New) (u User, token string, err error) {
	n.Email = address.Fold(n.Email)
	stored, token, err := s.create(ctx, n)
	if err != nil {
		return User{}, "", err
	}
	if stored.State == Invited && stored.Email == n.Email { // who was invited is registered by an Auth of the version before
		return s.Activate(ctx, n.ID)
	}
	if stored.State != Active && stored.State != Suspended || stored.Email != n.Email {
		return User{}, "", IDTaken()
	}
	return stored, token, nil
}

// Create creates a user under a new id, without a login. The token names the user's relationships.
func (s *Service) Create(ctx context.Context, n New) (u User, token string, err error) {
	n.ID, n.Email = s.newID(), address.Fold(n.Email)
	return s.create(ctx, n)
}

func (s *Service) create(ctx context.Context, n New) (User, string, error) {
	now := s.clock()
	var personal *organization.Organization
	if n.OrganizationID == "" {
		o := organization.NewPersonal(s.newID(), n.DisplayName, now)
		personal, n.OrganizationID = &o, o.ID
	}
	c := NewCreation(event.FromContext(ctx), User{
		OrganizationID: n.OrganizationID,
		ID:             n.ID,
		Email:          n.Email,
		EmailVerified:  n.EmailVerified,
		DisplayName:    n.DisplayName,
		Locale:         n.Locale,
		State:          Active,
		Revision:       firstRevision,
		CreateTime:     now,
		UpdateTime:     now,
	}, personal)
	c.Most = s.most(n.Unbounded)
	if !n.invitationDue.IsZero() {
		c.User.State, c.InvitationDue = Invited, n.invitationDue
	}
	return s.store.Create(ctx, c)
}

// firstRevision is that of a user who was not changed yet.
const firstRevision = 1

// Get returns one user of the scope.
func (s *Service) Get(ctx context.Context, scope Scope, id string) (User, error) {
	return s.store.Get(ctx, scope, id)
}

// List returns one page of the scope's users, oldest first, and the cursor of the next page if there is one. Email addresses are compared
// by their one rule (internal/address).
func (s *Service) List(ctx context.Context, scope Scope, q resource.Query) ([]User, *resource.Cursor, error) {
	size, ahead := q.Page()
	ahead.Where = slices.Clone(ahead.Where)
	for i, c := range ahead.Where {
		if email, ok := c.Value.(string); ok && c.Field == "email" {
			ahead.Where[i].Value = address.Fold(email)
		}
	}
	rows, err := s.store.List(ctx, scope, ahead)
	if err != nil {
		return nil, nil, err
	}
	page, next := resource.Cut(rows, size, User.Cursor)
	return page, next, nil
}

// Update changes a user that still has the tag; an empty tag meets any revision.
func (s *Service) Update(ctx context.Context, scope Scope, id, tag string, c Changes) (User, error) {
	if err := c.Validate(); err != nil {
		return User{}, err
	}
	now := s.clock()
	return s.store.Update(ctx, scope, id, func(u User) (User, event.Event, error) {
		if err := resource.CheckETag(tag, u.ETag()); err != nil {
			return u, event.Event{}, err
		}
		return c.apply(u, now), Updated(event.FromContext(ctx), u), nil
	})
}

// clock returns the time in the precision that a store keeps.
func (s *Service) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
