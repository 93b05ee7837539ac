package user

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
)

// Standing is whether a user may sign in, on its way to Auth and Authz. Of what is said of one user
// the highest revision counts.
type Standing struct {
	UserID     string
	Suspended  bool  // or invited
	Revision   int64 // of the user since when this is so
	Invitation bool  // who is invited, or has accepted: Auth knows of both, and Authz alone is told
}

// StandingStore keeps what Auth and Authz are to be told of a user until they were. Each method is
// one transaction, with what it tells others.
type StandingStore interface {
	// SetStanding locks a user, calls decide with it and whether it is alone in its personal
	// organization, and, if its revision differs, stores the state that decide returns with the
	// event, and that its standing is to be told; nobody else claims that before due. open says
	// that something is to be told, now or since before. An error of decide is returned as it is
	// and nothing changes.
	SetStanding(ctx context.Context, scope Scope, id string, due time.Time, decide func(u User, alone bool) (User, event.Event, error)) (
		u User, told Standing, open bool, err error)
	// ClaimStanding returns the standing that is due to be told the longest and makes it due at
	// until; found is false when none is due. No two callers get the same one while the claim
	// holds.
	ClaimStanding(ctx context.Context, now, until time.Time) (told Standing, found bool, err error)
	// FinishStanding forgets a standing that was told, unless there is a later one of the user.
	FinishStanding(ctx context.Context, told Standing) error
}

// Suspend keeps a user from signing in until Restore. Authz is asked first: the last administrator
// and the last owner of an organization with others are refused (R89). Then the intent is durable,
// and completes by this call, by repeating it or by the reconciler: sessions end, and every sign-in
// is refused. UNAVAILABLE (AUTH_UNAVAILABLE, AUTHZ_UNAVAILABLE) says that this was not reached yet.
func (s *Service) Suspend(ctx context.Context, scope Scope, id string) (User, error) {
	by := event.FromContext(ctx)
	for range reserveAttempts {
		u, told, open, err := s.beginSuspension(ctx, scope, id, by)
		switch {
		case err == nil && open:
			return u, s.tell(ctx, told)
		case !errors.Is(err, errOtherwise):
			return u, err
		}
	}
	return User{}, reason.ConcurrentChange().Saying("the user changes at this moment: repeat the request")
}

// beginSuspension reserves the departure of an active user from the decisions about the last
// administrator and owner, and suspends it. As at a deletion nothing is locked while Authz is
// asked, what the answer rests on is checked again under the lock, and a reservation whose
// suspension does not begin errs to the safe side.
func (s *Service) beginSuspension(ctx context.Context, scope Scope, id string, by event.Event) (u User, told Standing, open bool, err error) {
	asked, alone, err := s.deletions.Leaving(ctx, scope, id)
	if err != nil {
		return User{}, Standing{}, false, err
	}
	if asked.State == Active {
		if err := s.departures.ReserveSuspension(ctx, asked, alone, asked.Revision+1, by); err != nil {
			return User{}, Standing{}, false, err
		}
	}
	now := s.clock()
	return s.standings.SetStanding(ctx, scope, id, now.Add(claimFor), func(current User, stillAlone bool) (User, event.Event, error) {
		switch {
		case current.State == Deleting:
			return User{}, event.Event{}, NotFound()
		case current.State == Invited:
			return User{}, event.Event{}, reason.UserInvited()
		case current.State == Suspended:
			return current, event.Event{}, nil
		case current.Revision != asked.Revision, asked.State != Active, alone && !stillAlone:
			return User{}, event.Event{}, errOtherwise
		}
		return current.become(Suspended, now), Updated(by, current), nil
	})
}

// Restore lets a suspended user sign in again; one that is active stays so. Like a suspension it
// completes once it has begun.
func (s *Service) Restore(ctx context.Context, scope Scope, id string) (User, error) {
	by, now := event.FromContext(ctx), s.clock()
	u, told, open, err := s.standings.SetStanding(ctx, scope, id, now.Add(claimFor), func(current User, _ bool) (User, event.Event, error) {
		switch current.State {
		case Suspended:
			return current.become(Active, now), Updated(by, current), nil
		case Active:
			return current, event.Event{}, nil
		case Invited:
			return User{}, event.Event{}, reason.UserInvited()
		default:
			return User{}, event.Event{}, NotFound()
		}
	})
	if err == nil && open {
		err = s.tell(ctx, told)
	}
	return u, err
}

// become returns the user in another state.
func (u User) become(state State, now time.Time) User {
	u.State = state
	return u.revised(now)
}

// tell carries out what was begun: Auth first, so that who is suspended is out, and who is back
// counts as the last administrator only when that person can sign in.
func (s *Service) tell(ctx context.Context, told Standing) error {
	call, cancel := context.WithTimeout(ctx, removeLoginTimeout)
	defer cancel()
	if !told.Invitation {
		if err := s.tellAuth(ctx, call, told); err != nil {
			return err
		}
	}
	if err := s.departures.Settle(call, told); err != nil {
		return fmt.Errorf("tell authz of a user's standing: %w", err)
	}
	return s.standings.FinishStanding(ctx, told)
}

func (s *Service) tellAuth(ctx, call context.Context, told Standing) error {
	err := s.logins.SetStanding(call, told)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("tell auth of a user's standing: %w", ctx.Err())
	}
	return reason.AuthUnavailable().Saying("this is decided, but not carried out yet: it completes by itself").WithRetryAfter(claimFor).Because(err)
}

// CompleteStandings tells what was not told yet, one after the other, until none is due, a bound is
// reached or one fails, like CompleteDeletions. It returns how many it told.
func (s *Service) CompleteStandings(ctx context.Context) (completed int, err error) {
	for completed < maxCompletions {
		now := s.clock()
		told, found, err := s.standings.ClaimStanding(ctx, now, now.Add(claimFor))
		if err != nil {
			return completed, fmt.Errorf("claim a user's standing: %w", err)
		}
		if !found {
			break
		}
		if err := s.tell(ctx, told); err != nil {
			return completed, fmt.Errorf("tell of the standing of user %s: %w", told.UserID, err)
		}
		completed++
	}
	return completed, nil
}
