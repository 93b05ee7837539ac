package login

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

// Standing is whether a user may sign in, as Identity says.
type Standing struct {
	UserID       string
	Revision     int64 // of the user since when this is so; of what is said the highest one counts
	Suspended    bool
	Time         time.Time
	RevokedUntil time.Time    // how long the sessions that end are announced
	Notice       *mail.Queued // nil is none
}

// Suspend ends all sessions of a user, and refuses whoever signs in as that user from here on like
// somebody with a wrong password, until Restore. A user without a login is not an error, and
// neither is what a later revision has overtaken. Whoever could sign in until now is told.
func (s *Service) Suspend(ctx context.Context, userID string, revision int64) error {
	l, err := s.Store.ByUser(ctx, userID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	now := s.Now()
	n := Standing{UserID: userID, Revision: revision, Suspended: true, Time: now, RevokedUntil: now.Add(s.Config.RevocationPeriod)}
	if l.State == Active {
		n.Notice = s.Desk.Suspended(ctx, l.Email, l.Language)
	}
	return s.setStanding(ctx, n)
}

// Restore lets a user sign in again, who is told. A user without a login is not an error, and
// neither is what a later revision has overtaken.
func (s *Service) Restore(ctx context.Context, userID string, revision int64) error {
	l, err := s.Store.ByUser(ctx, userID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	n := Standing{UserID: userID, Revision: revision, Time: s.Now()}
	if l.State == Suspended {
		n.Notice = s.Desk.Restored(ctx, l.Email, l.Language)
	}
	return s.setStanding(ctx, n)
}

func (s *Service) setStanding(ctx context.Context, n Standing) error {
	if err := s.Store.SetStanding(ctx, n, of(event.FromContext(ctx), n.UserID)); err != nil {
		return err
	}
	s.Wake()
	return nil
}
