package user

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/services/identity/internal/etag"
)

const (
	// removeLoginTimeout bounds the call to Auth, so that a request learns of a hanging Auth before its own deadline.
	removeLoginTimeout = 5 * time.Second
	// claimFor is how long whoever began or claimed a deletion has it alone. It covers the call to Auth and the removal; after a crash
	// or a failure the reconciler takes the deletion over.
	claimFor = 10 * time.Second
	// maxCompletions bounds one round of the reconciler.
	maxCompletions = 100
	// rememberFor is how long the id of a deleted user is refused: far longer than any creation that was asked for before can be under way.
	rememberFor = time.Hour
	// forgetSize is how many ids one transaction of ForgetDeleted removes at most.
	forgetSize = 500
)

// Delete deletes a user that still has the tag; an empty tag meets any revision. Authz is asked first, while the user is locked: the last
// administrator and the last owner of an organization that stays are refused (R89). Then the intent is durable: from then on the user is
// NOT_FOUND and has no rights, and the deletion completes, by this call, by repeating it or by the reconciler. UNAVAILABLE
// (AUTH_UNAVAILABLE) says that the login could not be removed yet. The token names the removal of the user's relationships, also beside
// that error.
func (s *Service) Delete(ctx context.Context, scope Scope, id, tag string) (token string, err error) {
	d, token, err := s.deletions.BeginDelete(ctx, scope, id, s.clock().Add(claimFor), func(u User, ends bool) error {
		if u.State == Deleting { // all of this was checked when the deletion began
			return nil
		}
		if err := etag.Check(tag, u.ETag()); err != nil {
			return err
		}
		return s.departures.Reserve(ctx, u, ends) // last: what is reserved is about to happen
	})
	if err != nil {
		return "", err
	}
	return token, s.complete(ctx, d)
}

// complete carries out a deletion that was begun: sessions and login first, so that nobody is signed in as a user that is gone.
func (s *Service) complete(ctx context.Context, d Deletion) error {
	callCtx, cancel := context.WithTimeout(ctx, removeLoginTimeout)
	defer cancel()
	if err := s.logins.RemoveLogin(callCtx, d.UserID); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("remove login: %w", ctx.Err())
		}
		return apierr.New(apierr.Unavailable, "AUTH_UNAVAILABLE",
			"the user is gone, but the login could not be removed yet: this completes by itself").
			WithRetryAfter(claimFor).Because(err)
	}
	return s.deletions.FinishDelete(ctx, d, s.clock())
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
		if err := s.complete(ctx, d); err != nil {
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
