package user

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
)

// inviteTimeout bounds the call to Auth that mails an invitation.
const inviteTimeout = 5 * time.Second

// Invitation is an invited user whom Auth is to mail a code.
type Invitation struct {
	OrganizationID, UserID     string
	Email, DisplayName, Locale string
	Revision                   int64 // grows each time that it is sent again
}

// Invitations is what invitations need of Auth.
type Invitations interface {
	// CanInvite says whether invitations can be mailed at all: FAILED_PRECONDITION
	// (MAIL_NOT_CONFIGURED) when not.
	CanInvite(ctx context.Context) error
	// Invite mails a code to the user. Repeating it, or calling with an older revision, changes
	// nothing.
	Invite(ctx context.Context, i Invitation) error
}

// InvitationStore keeps the intent to mail an invitation until Auth knows of it. Each method is one
// transaction, with what it tells others.
type InvitationStore interface {
	// Renew makes an invitation of the next revision due at a time, and records the event that e
	// makes of the user. A user who is not Invited is NotInvited(), one who is not there
	// NotFound().
	Renew(ctx context.Context, scope Scope, id string, due time.Time, e func(User) event.Event) (User, Invitation, error)
	// ClaimInvitation returns the invitation that is due the longest and makes it due at until;
	// found is false when none is due. No two callers get the same one while the claim holds.
	ClaimInvitation(ctx context.Context, now, until time.Time) (i Invitation, found bool, err error)
	// Invited notes that Auth knows of the revision of an invitation, unless there is a newer one.
	Invited(ctx context.Context, i Invitation) error
	// Activate makes an Invited user Active, whose standing is to be told at now, and records the
	// event that e makes of it. A user who is Active or Suspended stays as it is, and nothing is
	// recorded; one who is not there is NotFound(). The token names the user's relationships.
	Activate(ctx context.Context, id string, now time.Time, e func(User) event.Event) (u User, token string, err error)
}

// NotInvited is the response to what only an invited user may meet.
func NotInvited() error { return reason.UserNotInvited() }

// Invite creates a user who is Invited, and asks Auth to mail the code. Auth is asked first whether
// it can, and Authz reserves that the user counts as nobody's last administrator or owner, so that
// it knows before the user exists there. Once the user is stored the mail is on its way: by this
// call or, when Auth does not answer it, by the reconciler, which also makes the reservation last.
func (s *Service) Invite(ctx context.Context, n New) (u User, token string, err error) {
	if err := (Changes{Locale: &n.Locale}).Validate(); err != nil {
		return User{}, "", apierr.InvalidArgumentError().WithField("locale", "locale", localeRule)
	}
	if err := s.canInvite(ctx); err != nil {
		return User{}, "", err
	}
	n.ID, n.Email = s.newID(), address.Fold(n.Email)
	if err := s.departures.ReserveSuspension(ctx, User{ID: n.ID}, false, firstRevision, event.FromContext(ctx)); err != nil {
		return User{}, "", err
	}
	n.invitationDue = s.clock().Add(claimFor)
	if u, token, err = s.create(ctx, n); err != nil {
		return User{}, "", err
	}
	s.mailSoon(ctx, Invitation{
		OrganizationID: u.OrganizationID, UserID: u.ID, Email: u.Email, DisplayName: u.DisplayName, Locale: u.Locale, Revision: firstInvitation,
	})
	return u, token, nil
}

// firstInvitation is the revision of an invitation that was not sent again.
const firstInvitation = 1

// ResendInvitation makes the code that was mailed worthless and mails a new one.
func (s *Service) ResendInvitation(ctx context.Context, scope Scope, id string) (User, error) {
	if err := s.canInvite(ctx); err != nil {
		return User{}, err
	}
	by := event.FromContext(ctx)
	u, i, err := s.invitationStore.Renew(ctx, scope, id, s.clock().Add(claimFor), func(u User) event.Event { return of(by, u) })
	if err != nil {
		return User{}, err
	}
	s.mailSoon(ctx, i)
	return u, nil
}

// CancelInvitation deletes a user who is Invited, as Delete does. One whose invitation is accepted
// at the same moment is NotInvited(): the tag of a user changes with it.
func (s *Service) CancelInvitation(ctx context.Context, scope Scope, id string) (token string, err error) {
	for range reserveAttempts {
		u, _, err := s.deletions.Leaving(ctx, scope, id)
		switch {
		case err != nil:
			return "", err
		case u.State == Deleting: // it goes on with what was begun
			return s.Delete(ctx, scope, id, "")
		case u.State != Invited:
			return "", NotInvited()
		}
		token, err := s.Delete(ctx, scope, id, u.ETag())
		if !errors.Is(err, apierr.ETagMismatch()) {
			return token, err
		}
	}
	return "", reason.ConcurrentChange()
}

// Activate makes an invited user active, for Auth, where the invitation was accepted.
func (s *Service) Activate(ctx context.Context, id string) (u User, token string, err error) {
	by := event.FromContext(ctx)
	return s.invitationStore.Activate(ctx, id, s.clock(), func(u User) event.Event { return of(by, u) })
}

// Accepted returns an invited user as it is once the invitation was accepted: whoever did reads the
// mails of the address.
func (u User) Accepted(now time.Time) User {
	u.EmailVerified = true
	return u.become(Active, now)
}

func (s *Service) canInvite(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, inviteTimeout)
	defer cancel()
	return s.invitations.CanInvite(ctx)
}

// mailSoon asks Auth to mail an invitation that is stored. What fails is left to the reconciler:
// nothing of it is the business of who has invited.
func (s *Service) mailSoon(ctx context.Context, i Invitation) {
	_ = s.mail(ctx, i)
}

func (s *Service) mail(ctx context.Context, i Invitation) error {
	call, cancel := context.WithTimeout(ctx, inviteTimeout)
	defer cancel()
	if err := s.invitations.Invite(call, i); err != nil {
		return err
	}
	return s.invitationStore.Invited(ctx, i)
}

// CompleteInvitations mails the invitations that nobody works on, one after the other, until none
// is due, a bound is reached or one fails. It returns how many it mailed.
func (s *Service) CompleteInvitations(ctx context.Context) (completed int, err error) {
	for completed < maxCompletions {
		now := s.clock()
		i, found, err := s.invitationStore.ClaimInvitation(ctx, now, now.Add(claimFor))
		if err != nil {
			return completed, fmt.Errorf("claim an invitation: %w", err)
		}
		if !found {
			break
		}
		if err := s.mail(ctx, i); err != nil {
			return completed, fmt.Errorf("mail the invitation of user %s: %w", i.UserID, err)
		}
		completed++
	}
	return completed, nil
}
