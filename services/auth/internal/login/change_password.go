package login

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// PasswordChange is what a person asks for who is signed in.
type PasswordChange struct {
	UserID   string
	Old, New string
	Keep     string      // session that stays, which may be a browser's; the one above it stays too; "" for none
	Accept   string      // Accept-Language of the request, if it had one: the notice is in that language
	Event    event.Event // of the request, with the person as its actor
}

// NewHash is a password hash that takes the place of another one, and what ends with that.
type NewHash struct {
	UserID, Old, Hash string
	Language          string // of the person from now on; "" leaves it as it is
	Keep              string
	Time              time.Time
	Notice            *mail.Queued // nil is none
	RevokedUntil      time.Time
}

var errWrongPassword = errInvalidCredentials.Saying("the old password is wrong")

// ChangePassword replaces a password by whoever knows it (R5), and ends all sessions of the person
// but the one to keep (R22); the owner of the login is told (R17). It returns the login as the
// change has left it, for whoever begins a session by it. A wrong old password is refused like a
// wrong sign-in, and counted like one.
func (s *Service) ChangePassword(ctx context.Context, c PasswordChange) (Login, error) {
	e := of(c.Event, c.UserID)
	if e.Action != "" {
		e.Action = "auth.password_changed"
	}
	e.Changes = nil // both passwords are secrets
	l, err := s.Store.ByUser(ctx, c.UserID)
	if errors.Is(err, ErrNotFound) || err == nil && l.State != Active {
		return Login{}, event.Attempt(errWrongPassword, e)
	}
	if err != nil {
		return Login{}, err
	}
	// A counter of its own: who has somebody's session must not be able to delay their sign-ins.
	tried := throttle.Attempt{Factor: password.Factor, Account: l.UserID, Address: e.ClientAddress}
	proven, _, err := s.prove(ctx, tried, l, c.Old)
	if err != nil {
		return Login{}, err
	}
	if !proven {
		return Login{}, event.Attempt(errWrongPassword, e)
	}
	if err := s.admissible("new_password", c.New, l.Email); err != nil {
		return Login{}, err
	}
	hash, err := s.Hasher.Hash(ctx, c.New)
	if err != nil {
		return Login{}, err
	}
	now := s.Now()
	e.OrganizationID = l.OrganizationID
	err = s.Store.ChangePassword(ctx, NewHash{
		UserID: l.UserID, Old: l.PasswordHash, Hash: hash, Language: mail.Language(c.Accept), Keep: c.Keep, Time: now, RevokedUntil: now.Add(s.Config.RevocationPeriod),
		Notice: s.Desk.PasswordChanged(ctx, l.Email, c.Accept),
	}, e)
	if errors.Is(err, ErrNotFound) { // somebody else has changed it meanwhile
		return Login{}, event.Attempt(errWrongPassword, e)
	}
	if err != nil {
		return Login{}, err
	}
	s.Wake()
	l.PasswordHash = hash
	return l, nil
}
