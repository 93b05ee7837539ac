package session

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
)

// Refresh exchanges a refresh token of the platform's own sign-in for the next pair. Any token of a
// session but the newest ends the session (R33; RFC 9700, section 4.14.2): one of its two holders
// is not the user. There is no grace: of parallel calls with one token at most one gets a response,
// and what it got is dead.
func (s *Service) Refresh(ctx context.Context, compact string) (Tokens, error) {
	_, tokens, err := s.refresh(ctx, compact, "", event.FromContext(ctx), func(found Session) (Session, error) { return found, nil })
	return tokens, err
}

// refresh exchanges a refresh token of a client, "" for the platform's own sign-in. What the tokens
// are made of is what narrow makes of the session; its error refuses them and changes nothing.
func (s *Service) refresh(
	ctx context.Context, compact, clientID string, e event.Event, narrow func(Session) (Session, error),
) (narrowed Session, tokens Tokens, err error) {
	presented, ok := parseRefreshToken(compact)
	if !ok {
		return Session{}, Tokens{}, errInvalidRefreshToken
	}
	next, err := presented.next(s.Random)
	if err != nil {
		return Session{}, Tokens{}, err
	}
	var refused error
	err = s.Store.Refresh(ctx, presented.familyHash(clientID), func(found Session) Decision {
		e.ObjectID = found.UserID // so that the user sees a refusal too
		now := s.Now()
		if d, over := s.over(ctx, found, presented, now, e); over {
			refused = errInvalidRefreshToken
			return d
		}
		if narrowed, refused = narrow(found); refused != nil {
			return Decision{}
		}
		if tokens, refused = s.tokens(narrowed, next, now); refused != nil {
			return Decision{}
		}
		rotation := &Rotation{Token: next.secretHash(), RefreshTime: now, StaleSince: now.Add(-seenStep)}
		return Decision{Rotate: rotation, Event: found.Event(e)}
	})
	if errors.Is(err, ErrNotFound) {
		return Session{}, Tokens{}, errInvalidRefreshToken
	}
	if err = cmp.Or(err, refused); err != nil {
		s.Wake()
		return Session{}, Tokens{}, event.Attempt(err, e)
	}
	return narrowed, tokens, nil
}

// over ends a session whose presented token is not its newest one, whose time is over, or whose
// user lacks the second factor that is required meanwhile.
func (s *Service) over(ctx context.Context, found Session, presented refreshToken, now time.Time, e event.Event) (Decision, bool) {
	switch {
	case !found.newest(presented.secretHash()):
		s.Log.WarnContext(ctx, "refresh token used again: session ended", "session_id", found.ID, "user_id", found.UserID)
		return Decision{End: s.revocation(found.ID, now), Event: found.ended(e, causeReused)}, true
	case found.expired(now, s.Config):
		return Decision{End: s.revocation(found.ID, now), Event: found.ended(e, causeExpired)}, true
	case found.LacksFactor:
		return Decision{End: s.revocation(found.ID, now), Event: found.ended(e, causeLacksFactor)}, true
	}
	return Decision{}, false
}
