package client

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
)

// Service holds the rules of clients.
type Service struct {
	store  Store
	own    []string
	newID  func() string
	random io.Reader
	now    func() time.Time
	wake   func()

	revocationPeriod time.Duration
}

// Params are what a Service needs.
type Params struct {
	Store  Store
	Own    []string      // names of the platform itself in tokens: its issuer and its audience
	NewID  func() string // returns a random UUID
	Random io.Reader     // of full entropy
	Now    func() time.Time
	Wake   func() // tells the feed of ended sessions that there are some

	RevocationPeriod time.Duration // how long an ended session is announced
}

// NewService returns the rules over a store.
func NewService(p Params) *Service {
	return &Service{
		store: p.Store, own: p.Own, newID: p.NewID, random: p.Random, now: p.Now, wake: p.Wake, revocationPeriod: p.RevocationPeriod,
	}
}

// Create registers a client. The secret is that of a confidential one, and is told nowhere else.
func (s *Service) Create(ctx context.Context, public bool, n Changes) (c Client, secret string, err error) {
	if err := n.check("", public, s.own); err != nil {
		return Client{}, "", err
	}
	now := s.clock()
	c = n.apply(Client{Public: public}, now)
	c.ID, c.Revision, c.CreateTime, c.UpdateTime = NewID(s.newID()), 1, now, now
	if !public {
		if secret, err = s.addSecret(&c, now); err != nil {
			return Client{}, "", err
		}
	}
	if err := s.store.Create(ctx, c, about(event.FromContext(ctx), c.ID)); err != nil {
		return Client{}, "", err
	}
	return c, secret, nil
}

// Get returns one client.
func (s *Service) Get(ctx context.Context, id string) (Client, error) {
	c, err := s.store.Get(ctx, id)
	return c, known(err)
}

// List returns one page, oldest first, and the cursor of the next page if there is one.
func (s *Service) List(ctx context.Context, q resource.Query) ([]Client, *resource.Cursor, error) {
	size, ahead := q.Page()
	rows, err := s.store.List(ctx, ahead)
	if err != nil {
		return nil, nil, err
	}
	page, next := resource.Cut(rows, size, Client.Cursor)
	return page, next, nil
}

// Update changes a client that still has the tag; an empty tag meets any revision.
func (s *Service) Update(ctx context.Context, id, tag string, n Changes) (Client, error) {
	now := s.clock()
	c, err := s.store.Update(ctx, id, func(c Client) (Client, event.Event, error) {
		if err := resource.CheckETag(tag, c.ETag()); err != nil {
			return c, event.Event{}, err
		}
		if err := n.check("client.", c.Public, s.own); err != nil {
			return c, event.Event{}, err
		}
		return n.apply(c, now), about(event.FromContext(ctx), id), nil
	})
	return c, known(err)
}

// Delete removes a client that still has the tag and ends its sessions; an empty tag meets any
// revision.
func (s *Service) Delete(ctx context.Context, id, tag string) error {
	err := s.store.Delete(ctx, id, s.clock().Add(s.revocationPeriod), func(c Client) (event.Event, error) {
		return about(event.FromContext(ctx), id), resource.CheckETag(tag, c.ETag())
	})
	if err != nil {
		return known(err)
	}
	s.wake()
	return nil
}

// RotateSecret gives a confidential client one more secret, which is told nowhere else. The old one
// stays good until it is ended, so that everything that uses it can be changed first.
func (s *Service) RotateSecret(ctx context.Context, id string) (c Client, secret string, err error) {
	now := s.clock()
	c, err = s.store.Update(ctx, id, func(c Client) (Client, event.Event, error) {
		switch {
		case c.Public:
			return c, event.Event{}, reason.ClientIsPublic()
		case len(c.Secrets) >= MaxSecrets:
			return c, event.Event{}, reason.ClientHasTwoSecrets()
		}
		var err error
		if secret, err = s.addSecret(&c, now); err != nil {
			return c, event.Event{}, err
		}
		return c.revised(now), about(event.FromContext(ctx), id), nil
	})
	if err != nil {
		return Client{}, "", known(err)
	}
	return c, secret, nil
}

// EndSecret ends one of two secrets; one that is gone already is not an error. The last one stays.
func (s *Service) EndSecret(ctx context.Context, id, secretID string) error {
	now := s.clock()
	_, err := s.store.Update(ctx, id, func(c Client) (Client, event.Event, error) {
		i := slices.IndexFunc(c.Secrets, func(s Secret) bool { return s.ID == secretID })
		switch {
		case i < 0:
			return c, event.Event{}, nil
		case len(c.Secrets) == 1:
			return c, event.Event{}, reason.LastClientSecret()
		}
		c.Secrets = slices.Delete(slices.Clone(c.Secrets), i, i+1)
		return c.revised(now), about(event.FromContext(ctx), id), nil
	})
	return known(err)
}

func (s *Service) addSecret(c *Client, now time.Time) (text string, err error) {
	text, secret, err := newSecret(s.random, s.newID(), now)
	c.Secrets = append(slices.Clone(c.Secrets), secret)
	return text, err
}

// about is the event of a request about a client, which is the platform's: the actor's organization
// has nothing to do with it.
func about(e event.Event, id string) event.Event {
	e.ObjectID, e.OrganizationID = id, ""
	return e
}

// clock returns the time in the precision that a store keeps.
func (s *Service) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// known makes the refusal of an unknown client of the store's word for it.
func known(err error) error {
	if errors.Is(err, ErrNotFound) {
		return reason.ClientNotFound()
	}
	return err
}
