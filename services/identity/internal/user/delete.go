package user

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
)

// source is the mesh name under which Identity speaks in the trail of what nobody asked for.
const source = "identity"

const (
	// removeLoginTimeout bounds the call to Auth, so that a request learns of a hanging Auth before its own deadline.
	removeLoginTimeout = 5 * time.Second
	// claimFor is how long whoever began or claimed a deletion has it alone. It covers the call to Auth and the removal; after a crash
	// or a failure the reconciler takes the deletion over.
	claimFor = 10 * time.Second
	// reserveAttempts bounds how often Delete asks Authz again because somebody joined the
	// organization meanwhile.
	reserveAttempts = 3
	// maxCompletions bounds one round of the reconciler.
	maxCompletions = 100
	// refuseFor is how long the id of a deleted user is refused: far longer than any creation that
	// was asked for before can be under way.
	refuseFor = time.Hour
	// TellFor is how long who follows users may be away and still hear of each deletion.
	TellFor = 7 * 24 * time.Hour
	// rememberFor is how long a deletion is remembered; the clocks of instances may differ by the
	// rest.
	rememberFor = TellFor + time.Hour
	// forgetSize is how many ids one transaction of ForgetDeleted removes at most.
	forgetSize = 500
)

// Delete deletes a user that still has the tag; an empty tag meets any revision. Authz is asked
// first: the last administrator and the last owner of an organization that stays are refused (R89).
// Then the intent is durable: from then on the user is NOT_FOUND and has no rights, and the
// deletion completes, by this call, by repeating it or by the reconciler. UNAVAILABLE
// (AUTH_UNAVAILABLE) says that the login could not be removed yet. The token names the removal of
// the user's relationships, also beside that error.
func (s *Service) Delete(ctx context.Context, scope Scope, id, tag string) (token string, err error) {
	by := event.FromContext(ctx)
	for range reserveAttempts {
		d, token, err := s.begin(ctx, scope, id, tag, by)
		switch {
		case err == nil:
			return token, s.complete(ctx, d, by)
		case !errors.Is(err, errOtherwise):
			return "", err
		}
	}
	return "", reason.ConcurrentChange().Saying("users join the organization at this moment: repeat the request")
}

// errOtherwise says that Authz was asked about another deletion than the one that would begin.
var errOtherwise = errors.New("the organization does not go with the user any more")

// begin reserves the departure of a user that is there and begins the deletion. Authz is asked
// before anything is locked and without a connection, so that a slow Authz holds up nothing else;
// what the answer rests on is checked again under the lock. A reservation whose deletion does not
// begin errs to the safe side.
func (s *Service) begin(ctx context.Context, scope Scope, id, tag string, by event.Event) (d Deletion, token string, err error) {
	u, reservedEnds, err := s.deletions.Leaving(ctx, scope, id)
	if err != nil {
		return Deletion{}, "", err
	}
	if u.State.There() {
		if err := resource.CheckETag(tag, u.ETag()); err != nil {
			return Deletion{}, "", err
		}
		if err := s.departures.Reserve(ctx, u, reservedEnds, by); err != nil {
			return Deletion{}, "", err
		}
	}
	return s.deletions.BeginDelete(ctx, scope, id, s.clock().Add(claimFor), func(now User, ends bool) (fact.Fact, error) {
		switch {
		case now.State == Deleting: // all of this was checked when the deletion began
			return fact.Fact{}, nil
		case !u.State.There() || reservedEnds && !ends: // it stays after all: somebody must be its owner
			return fact.Fact{}, errOtherwise
		}
		return Deleted(by, now), resource.CheckETag(tag, now.ETag())
	})
}

// complete carries out a deletion that was begun: sessions and login first, so that nobody is signed in as a user that is gone.
func (s *Service) complete(ctx context.Context, d Deletion, by event.Event) error {
	callCtx, cancel := context.WithTimeout(ctx, removeLoginTimeout)
	defer cancel()
	if err := s.logins.RemoveLogin(callCtx, d.UserID); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("remove login: %w", ctx.Err())
		}
		return reason.AuthUnavailable().Saying("the user is gone, but the login could not be removed yet: this completes by itself").
			WithRetryAfter(claimFor).Because(err)
	}
	return s.deletions.FinishDelete(ctx, d, s.clock(), Ended(by, d.OrganizationID))
}

// CompleteDeletions carries out interrupted deletions, one after the other, until none is due, a bound is reached or one fails. It returns
// how many it completed. After a failure the rest waits for the next round: most likely Auth is down, and if it was only this user's
// deletion, the others come first then, because a claim moves a deletion to the end.
func (s *Service) CompleteDeletions(ctx context.Context) (completed int, err error) {
	for completed < maxCompletions {
		now := s.clock()
		d, found, err := s.deletions.ClaimDeletion(ctx, now, now.Add(claimFor))
		if err != nil {
			return completed, fmt.Errorf("claim a deletion: %w", err)
		}
		if !found {
			break
		}
		if err := s.complete(ctx, d, event.Own(ctx, source, "organization.deleted", "organization")); err != nil {
			return completed, fmt.Errorf("complete the deletion of user %s: %w", d.UserID, err)
		}
		completed++
	}
	return completed, nil
}

// ForgetDeleted forgets the ids of users that were deleted long ago, in bounded transactions, until none is left.
func (s *Service) ForgetDeleted(ctx context.Context) error {
	for {
		n, err := s.deletions.ForgetDeleted(ctx, s.clock().Add(-rememberFor), forgetSize)
		if err != nil || n == 0 {
			return err
		}
	}
}
