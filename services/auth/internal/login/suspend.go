package login

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
)

// Standing is whether a user may sign in, as Identity says.
type Standing struct {
	UserID       string
	Revision     int64 // of the user since when this is so; of what is said the highest one counts
	Suspended    bool
	Time         time.Time
	RevokedUntil time.Time // how long the sessions that end are announced
}

// Suspend ends all sessions of a user, and refuses whoever signs in as that user from here on like
// somebody with a wrong password, until Restore. A user without a login is not an error, and
// neither is what a later revision has overtaken.
func (s *Service) Suspend(ctx context.Context, userID string, revision int64) error {
	now := s.Now()
	standing := Standing{UserID: userID, Revision: revision, Suspended: true, Time: now, RevokedUntil: now.Add(s.Config.RevocationPeriod)}
	if err := s.Store.SetStanding(ctx, standing, of(event.FromContext(ctx), userID)); err != nil {
		return err
	}
	s.Wake()
	return nil
}

// Restore lets a user sign in again. A user without a login is not an error, and neither is what a
// later revision has overtaken.
func (s *Service) Restore(ctx context.Context, userID string, revision int64) error {
	return s.Store.SetStanding(ctx, Standing{UserID: userID, Revision: revision, Time: s.Now()}, of(event.FromContext(ctx), userID))
}
