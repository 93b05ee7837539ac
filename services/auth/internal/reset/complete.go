package reset

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// Reset is what somebody shows who has lost a password, and the one that is to be instead.
type Reset struct {
	Code        proof.Code
	NewPassword string
	Factor      factor.Given // where the login has a second factor; its Accept is that of the notice, too
	Event       event.Event  // of the request
}

// Waiting is what a page has to ask for beside a new password.
type Waiting struct {
	Email        string
	SecondFactor bool // is asked for
}

// Find says what waits for a code, and leaves that good: programs that scan mails look at links.
func (s *Service) Find(ctx context.Context, code proof.Code) (Waiting, error) {
	l, err := s.waiting(ctx, code)
	return Waiting{Email: l.Email, SecondFactor: asksFactor(l)}, err
}

// asksFactor reports whether a reset asks for the second factor. While nobody has proven the
// address, that may be of whoever registered it, which is to keep nobody out who proves it now.
func asksFactor(l login.Login) bool { return l.Factor.Enrolled && l.EmailVerified }

// waiting returns the login that a code is for, or INVALID_MAILED_CODE.
func (s *Service) waiting(ctx context.Context, code proof.Code) (login.Login, error) {
	p, err := s.Codes.Find(ctx, code.Hash(), s.Now(), proof.Reset)
	if errors.Is(err, proof.ErrNotFound) || err == nil && p.UserID == "" { // that nobody was told of
		return login.Login{}, reason.InvalidMailedCode()
	}
	if err != nil {
		return login.Login{}, err
	}
	l, err := s.Logins.ByUser(ctx, p.UserID)
	if errors.Is(err, login.ErrNotFound) || err == nil && (l.State != login.Active || l.Email != p.Email) {
		return login.Login{UserID: p.UserID}, reason.InvalidMailedCode()
	}
	return l, err
}

// Reset replaces a password by the code that was mailed to the address, and by the second factor of
// the login. It signs nobody in: all sessions end, also those of whoever resets it (R14, R22), and
// the owner is told (R17). A refusal changes nothing, but that a code of the second factor which
// was right is used up.
func (s *Service) Reset(ctx context.Context, r Reset) error {
	e := r.Event
	e.Changes = nil // all are secrets
	l, err := s.waiting(ctx, r.Code)
	e.ObjectID, e.OrganizationID = l.UserID, l.OrganizationID
	if err != nil {
		return event.Attempt(err, e)
	}
	if err := login.Admissible(s.Passwords, "new_password", r.NewPassword, l.Email); err != nil {
		return err
	}
	hash, err := s.Hasher.Hash(ctx, r.NewPassword)
	if err != nil {
		return err
	}
	if asksFactor(l) { // last: a code of it works once
		if _, err := s.Factors.Verify(event.NewContext(ctx, e), l.UserID, r.Factor); err != nil {
			return err
		}
	}
	e.Actor = event.Actor{Type: event.User, ID: l.UserID} // who was just proven
	return s.store(ctx, l, hash, r, e)
}

// store makes the reset, all or nothing.
func (s *Service) store(ctx context.Context, l login.Login, hash string, r Reset, e event.Event) error {
	now := s.Now()
	err := s.Store.Reset(ctx, NewPassword{
		Code: r.Code.Hash(), UserID: l.UserID, Email: l.Email, Verified: l.EmailVerified, Factor: l.Factor.Revision, Hash: hash, Language: mail.Language(r.Factor.Accept),
		Time: now, RevokedUntil: now.Add(s.RevocationPeriod), Notice: s.Desk.PasswordReset(ctx, l.Email, r.Factor.Accept),
	}, e)
	if errors.Is(err, proof.ErrNotFound) || errors.Is(err, login.ErrNotFound) { // somebody was faster
		e.Actor = r.Event.Actor
		return event.Attempt(reason.InvalidMailedCode(), e)
	}
	if err != nil {
		return err
	}
	s.Wake()
	if err := s.Throttle.Forget(ctx, password.Factor, l.Email); err != nil { // then the first sign-in may have to wait
		s.Log.WarnContext(ctx, "failed sign-ins are not forgotten after a reset", "user_id", l.UserID, "error", err.Error())
	}
	return nil
}
