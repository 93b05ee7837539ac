package login

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
)

// claimSize is how many pending logins one pass takes at a time.
const claimSize = 10

// Reconcile completes or undoes the pending logins that nobody works on any more. Any number of instances may run it at once. It
// returns when none is due, or after a batch in which one had to stay pending, with the reasons: most likely Identity is down.
func (s *Service) Reconcile(ctx context.Context) error {
	for {
		now := s.Now()
		due, err := s.Store.Claim(ctx, now, now.Add(s.Config.RetryInterval), claimSize)
		if err != nil {
			return err
		}
		var failed []error // the whole batch is tried: one login that Identity cannot take must not hold up the others
		for _, l := range due {
			failed = append(failed, s.reconcile(ctx, l))
		}
		if err := errors.Join(failed...); err != nil || len(due) < claimSize {
			return err
		}
	}
}

// reconcile drives one login on. What is recorded names the request that began it, not this loop.
func (s *Service) reconcile(ctx context.Context, l Interrupted) error {
	by := l.origin(ctx)
	asked := request.WithClient(ctx, request.Client{Address: by.ClientAddress, Agent: by.ClientAgent})
	if request.ValidID(by.RequestID) {
		asked = request.WithID(asked, by.RequestID)
	}
	_, err := s.complete(asked, l.Login, by)
	switch {
	case err == nil:
		s.Log.InfoContext(ctx, "interrupted sign-up completed", "user_id", l.UserID)
	case errors.Is(err, errRefused):
		s.Log.WarnContext(ctx, "interrupted sign-up undone", "user_id", l.UserID, "error", apierr.From(err).Unwrap())
	case errors.Is(err, errRemoved):
		s.Log.InfoContext(ctx, "interrupted sign-up was removed", "user_id", l.UserID)
	default:
		return err
	}
	return nil
}

// origin is the event of the request that made the login; of one from before events were kept, what is known of it.
func (l Interrupted) origin(ctx context.Context) event.Event {
	if l.Event.Action != "" {
		return l.Event
	}
	return event.Own(ctx, "auth", "auth.signed_up", "user")
}
