package emailchange

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// Confirmation is what a person shows who is signed in: the code alone proves the address and not
// whose account it is for.
type Confirmation struct {
	UserID string
	Code   proof.Code
	Accept string      // Accept-Language of the request, if it had one
	Event  event.Event // of the request, with the person as its actor
}

var errStored = reason.IdentityUnavailable().Saying("the new address is stored and will be taken over; look a little later")

// Confirm gives the login of a person the address that a code proves, after Identity has taken it
// over, and tells both addresses (R17). Of two people who prove one address one gets it.
func (s *Service) Confirm(ctx context.Context, c Confirmation) error {
	e := c.Event
	if e.Action != "" {
		e.Action = "auth.email_changed"
	}
	e.ObjectID, e.Changes = c.UserID, nil
	now := s.Now()
	reserved, err := s.Store.Reserve(ctx, c.Code.Hash(), Change{UserID: c.UserID, Event: e, Accept: c.Accept}, now, now.Add(s.Grace))
	switch {
	case errors.Is(err, proof.ErrNotFound), errors.Is(err, login.ErrNotFound):
		return event.Attempt(reason.InvalidMailedCode(), e)
	case errors.Is(err, ErrTaken): // whoever shows the code may know: the address is theirs
		return reason.EmailTaken()
	case err != nil:
		return err
	}
	err = s.complete(ctx, reserved)
	switch {
	case errors.Is(err, ErrNotFound):
		return event.Attempt(reason.InvalidMailedCode(), e)
	case errors.Is(err, reason.IdentityUnavailable()):
		return errStored.WithRetryAfter(s.Retry).Because(err)
	}
	return err
}

// complete drives a reserved change to its end: committed, or undone when Identity refuses it or
// another login has the address by now. ErrNotFound when it was undone meanwhile, or another one
// took its place. Everything else leaves it reserved for Reconcile.
func (s *Service) complete(ctx context.Context, c Change) error {
	bounded, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	err := s.Directory.SetEmail(bounded, login.Email{UserID: c.UserID, Address: c.Email, Verified: true, Revision: c.Revision})
	switch refused := apierr.From(err); {
	case err == nil:
	case refused.Kind == apierr.AlreadyExists, refused.Kind == apierr.InvalidArgument:
		return s.undo(ctx, c)
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return reason.IdentityUnavailable().Because(err)
	}
	e := c.Event
	e.OrganizationID, e.Changes = c.OrganizationID, event.PersonalTexts("email", c.Email)
	done := c
	done.Event = e
	err = s.Store.Commit(ctx, done, s.Now(), s.Desk.EmailChanged(ctx, c.Former, c.Email, c.Former, c.Accept), s.Desk.EmailChanged(ctx, c.Email, c.Email, c.Former, c.Accept))
	switch {
	case errors.Is(err, ErrTaken):
		return s.undo(ctx, c)
	case err != nil:
		return err
	}
	s.Wake()
	return nil
}

func (s *Service) undo(ctx context.Context, c Change) error {
	if err := s.Store.Undo(ctx, c, s.Now()); err != nil {
		return err // still reserved: Reconcile will be refused and undo it
	}
	return reason.EmailTaken()
}

// claimSize is how many changes one pass takes at a time.
const claimSize = 10

// Reconcile drives on the changes that nobody works on any more. Any number of instances may run it
// at once.
func (s *Service) Reconcile(ctx context.Context) error {
	now := s.Now()
	due, err := s.Store.Claim(ctx, now, now.Add(s.Retry), claimSize)
	if err != nil {
		return err
	}
	var failed []error
	for _, c := range due {
		switch err := s.complete(ctx, c); {
		case err == nil:
			s.Log.InfoContext(ctx, "interrupted change of an address completed", "user_id", c.UserID)
		case errors.Is(err, reason.EmailTaken()), errors.Is(err, ErrNotFound):
			s.Log.WarnContext(ctx, "interrupted change of an address undone", "user_id", c.UserID)
		default:
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
