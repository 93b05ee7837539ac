package factor

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// counter names the counter of failures: codes of both kinds are guessed at one account (R7).
const counter = "second_factor"

// Given is what somebody shows: one of the two codes.
type Given struct {
	Code         string // that an authenticator shows
	RecoveryCode string
	Device       string // what the cookie of the device holds; "" without one
	Accept       string // Accept-Language of the request: the notice of a used recovery code is in that language
}

// found is a code that is right and was not used when it was looked at.
type found struct {
	step int64
	hash CodeHash
}

// Verify uses up the code that a user shows, for who was proven by something else already, such as
// a mailed code. A wrong and a used one, one of an earlier or later step, one that has to wait and
// one of a user without a second factor are refused alike, INVALID_SECOND_FACTOR, and counted.
func (s *Service) Verify(ctx context.Context, userID string, g Given) (Method, error) {
	e := event.FromContext(ctx)
	e.ObjectID = userID
	p, err := s.Store.Person(ctx, userID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	p.UserID = userID
	m, err := s.verify(ctx, p, g, e)
	return m, event.Attempt(err, e)
}

// verify uses up a code. It is judged before it is used: one that has to wait stays good.
func (s *Service) verify(ctx context.Context, p Person, g Given, e event.Event) (Method, error) {
	m := TOTP
	if g.RecoveryCode != "" {
		m = Recovery
	}
	if (g.Code != "") == (g.RecoveryCode != "") {
		return "", errNoBoth
	}
	f, ok, err := s.look(ctx, p, m, g)
	if err != nil {
		return "", err
	}
	tried := throttle.Attempt{Factor: counter, Account: p.UserID, Device: g.Device, Address: e.ClientAddress}
	if ok {
		tried.UserID = p.UserID
	}
	proven, err := s.Throttle.Settle(ctx, tried)
	if err != nil {
		return "", err
	}
	if !proven {
		return "", errInvalid
	}
	if err := s.use(ctx, p, m, f, g, e); errors.Is(err, ErrNotFound) { // somebody was faster
		return "", errInvalid
	} else if err != nil {
		return "", err
	}
	return m, nil
}

// look reports whether a code is right, and was not used.
func (s *Service) look(ctx context.Context, p Person, m Method, g Given) (f found, ok bool, err error) {
	switch {
	case !p.Enrolled():
		return found{}, false, nil
	case m == Recovery:
		f.hash = hashCode(p.UserID, g.RecoveryCode)
		ok, err = s.Store.HasCode(ctx, p.UserID, f.hash)
		return f, ok, err
	}
	secret, _, err := s.Secrets.Open(p.Sealed, []byte(p.UserID))
	if err != nil {
		return found{}, false, err
	}
	f.step, ok, err = match(secret, g.Code, s.Now())
	return f, ok && f.step > p.LastStep, err
}

// use makes a code worthless; ErrNotFound when it is that already. What is recorded of a recovery
// code is a change of its own; that of a step is what it proves.
func (s *Service) use(ctx context.Context, p Person, m Method, f found, g Given, e event.Event) error {
	if m == TOTP {
		return s.Store.UseStep(ctx, p.UserID, p.Revision, f.step)
	}
	err := s.Store.UseCode(ctx, p.UserID, p.Revision, f.hash, s.Desk.RecoveryCodeUsed(ctx, p.Email, g.Accept), about(e, p, "auth.recovery_code_used"))
	if err == nil {
		s.Wake()
	}
	return err
}

// about is the event of a change of a person's second factor: who acts is the person, who was
// proven. A change without a request has no event, and is refused.
func about(e event.Event, p Person, action string) event.Event {
	if e.Action == "" {
		return e
	}
	if e.Actor.Type != event.User {
		e.Actor = event.Actor{Type: event.User, ID: p.UserID}
	}
	e.Action, e.Changes = action, nil
	e.OrganizationID, e.ObjectID = p.OrganizationID, p.UserID
	return e
}
