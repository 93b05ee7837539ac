package relationship

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// KeepDepartures is how long a user whose deletion, suspension or invitation Identity was about to
// begin does not count, if that never comes: longer than a deletion that has begun can be under
// way. Until then the user may be deleted again, and nobody relies on somebody who may be gone.
const KeepDepartures = 30 * 24 * time.Hour

// Departure is a user whose deletion or suspension is about to begin. One who is about to be
// invited is suspended until the invitation is accepted.
type Departure struct {
	ID         string // UUID of this reservation
	User       string // "user:id"
	Ends       string // the organization that has nobody else, "organization:id"; "" for none
	Suspension int64  // the revision of the user once suspended or invited; 0 for a deletion
}

// Suspension is what became of a suspension or an invitation that was reserved.
type Suspension struct {
	User     string // "user:id"
	Revision int64  // of the user since when this is so
	Returned bool   // the user is suspended no longer, or has accepted
}

// Settle keeps a suspended user from counting until returned. What is of an earlier revision than
// what is reserved changes nothing.
func (s *Service) Settle(ctx context.Context, u Suspension) error {
	e := event.FromContext(ctx)
	e.ObjectID, _ = relation.UserID(u.User)
	return s.store.Settle(ctx, u, e)
}

// Depart reserves the departure of a user: FAILED_PRECONDITION (LAST_ADMINISTRATOR, LAST_OWNER)
// when nobody would be left in a role of the user. From here on the user counts in no such
// decision, so the deletion, which is a fact once it has begun, need not be refused. Repeating it
// is not an error. Of a suspension, Settle says when the user counts again.
func (s *Service) Depart(ctx context.Context, d Departure, origin *Origin) error {
	e, err := from(event.FromContext(ctx), origin)
	if err != nil {
		return err
	}
	e.ObjectID, _ = relation.UserID(d.User)
	locked := []string{d.User}
	for {
		var grown moreObjects
		holders, err := s.store.Depart(ctx, locked, d, e, func(ctx context.Context, departs Departs) error {
			g := &guard{engine: s.engine, departs: departs, leaving: d.User, ends: d.Ends}
			return s.decided(ctx, g, locked)
		})
		switch {
		case errors.As(err, &grown):
			locked = union(locked, grown.objects)
		case err != nil:
			return err
		case holders == nil:
			return nil
		default:
			if _, err := s.help(ctx, holders); err != nil {
				return err
			}
		}
	}
}

// decided returns nil when a guard's decision rests on locked objects alone.
func (s *Service) decided(ctx context.Context, g *guard, locked []string) error {
	rests, err := g.keeps(ctx)
	if err != nil {
		return err
	}
	if !contains(locked, rests) {
		return moreObjects{objects: rests}
	}
	return nil
}

// union returns what is in one of two lists, sorted.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
