package login

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// mailedCode is the factor by which failures behind the code of a sign-up are counted.
const mailedCode = "mailed_code"

var (
	errMailedCode = reason.InvalidMailedCode()
	errStored     = reason.IdentityUnavailable().Saying("the sign-up is stored and will be completed; sign in a little later")
)

// ErrTaken says that an address has a login by now.
var ErrTaken = errors.New("the address has a login")

// askSignUp stores what a sign-up needs beside a code, and mails the code to the address; or, where
// that has a login, that it has one. Both are the same work: one hash, one mail and the same
// statements, so that whoever signs up learns nothing. There is no login before the code is shown.
func (s *Service) askSignUp(ctx context.Context, email string, in SignUp) error {
	hash, err := s.Hasher.Hash(ctx, in.Password)
	if err != nil {
		return err
	}
	l, err := s.Store.ByEmail(ctx, email)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	waits, code := proof.New(proof.SignUp, email, s.Now())
	waits.PasswordHash, waits.DisplayName, waits.ReturnTo = hash, in.DisplayName, in.ReturnTo
	told := mail.Told{Code: string(code), Lasts: waits.Purpose.Lasts()}
	letter := s.Desk.SignUp
	if err == nil {
		letter = s.Desk.SignUpTaken
	}
	e := of(event.FromContext(ctx), l.UserID) // so that the owner of the address sees it
	if e.Action != "" {
		e.Action = "auth.sign_up_requested"
	}
	if err := s.Codes.Ask(ctx, waits, letter(ctx, email, in.Accept, told), e); err != nil {
		return err
	}
	s.Wake()
	return nil
}

// ReturnTo returns where a person goes on who shows the code of VerifyEmail on a page, and leaves
// the code as it is; "" is nowhere in particular, or that the code is not good.
func (s *Service) ReturnTo(ctx context.Context, code proof.Code) (string, error) {
	p, err := s.Codes.Find(ctx, code.Hash(), s.Now(), proof.SignUp, proof.Verify)
	if errors.Is(err, proof.ErrNotFound) {
		return "", nil
	}
	return p.ReturnTo, err
}

// Verification is what somebody shows to prove that an address is theirs.
type Verification struct {
	Code     proof.Code // of the mail
	Password string     // of the sign-up, or of the login
	Device   string     // what the device's cookie holds; "" without one
	Accept   string     // Accept-Language of the request, if it had one: of a sign-up it is kept
}

// Verified is an address that was proven.
type Verified struct {
	Email            string
	ConsistencyToken string // of a sign-up that was completed by it
}

// VerifyEmail proves an address by the code that was mailed there, together with the password: a
// person who gets the mail of a stranger's sign-up does not get the stranger's account. A sign-up
// is completed by it. A wrong password counts like that of a sign-in and leaves the code good.
func (s *Service) VerifyEmail(ctx context.Context, v Verification) (Verified, error) {
	e := event.FromContext(ctx)
	e.Changes = nil // both are secrets
	p, err := s.Codes.Find(ctx, v.Code.Hash(), s.Now(), proof.SignUp, proof.Verify)
	if errors.Is(err, proof.ErrNotFound) {
		return Verified{}, event.Attempt(errMailedCode, e)
	}
	if err != nil {
		return Verified{}, err
	}
	l := Login{
		UserID: s.NewID(), Email: p.Email, PasswordHash: p.PasswordHash, State: Pending, DisplayName: p.DisplayName, EmailVerified: true,
		Language: mail.Language(v.Accept),
	}
	// A counter of the code: who fills that of the address keeps nobody from completing a sign-up.
	tried := throttle.Attempt{Factor: mailedCode, Account: hex.EncodeToString(p.Hash[:]), Address: e.ClientAddress}
	if p.Purpose == proof.Verify {
		tried.Factor, tried.Account = password.Factor, p.Email
		if l, err = s.Store.ByUser(ctx, p.UserID); err != nil && !errors.Is(err, ErrNotFound) {
			return Verified{}, err
		}
		e, tried.Device = of(e, p.UserID), v.Device
	}
	match, _, err := s.verify(ctx, l, v.Password)
	if err != nil {
		return Verified{}, err
	}
	if match {
		tried.UserID = l.UserID
	}
	proven, err := s.Throttle.Settle(ctx, tried)
	switch {
	case err != nil:
		return Verified{}, err
	case !proven:
		return Verified{}, event.Attempt(errInvalidCredentials, e)
	case p.Purpose == proof.SignUp:
		return s.completeProven(ctx, v.Code, l, signedUp(e, p))
	}
	return s.verifyLogin(ctx, v.Code, l, e)
}

// completeProven makes the login of a sign-up whose address was proven.
func (s *Service) completeProven(ctx context.Context, code proof.Code, l Login, by event.Event) (Verified, error) {
	if err := s.reserve(ctx, code, l, by); err != nil {
		return Verified{}, err
	}
	u, err := s.complete(ctx, l, by)
	if errors.Is(err, errIdentity) {
		return Verified{}, errStored.WithRetryAfter(s.Config.RetryInterval).Because(err)
	}
	return Verified{Email: l.Email, ConsistencyToken: u.ConsistencyToken}, err
}

// reserve makes the pending login that a mailed code is for, and uses the code up.
func (s *Service) reserve(ctx context.Context, code proof.Code, l Login, by event.Event) error {
	now := s.Now()
	err := s.Store.ReserveProven(ctx, code.Hash(), l, by, now, now.Add(s.Config.SignUpGrace))
	switch {
	case errors.Is(err, proof.ErrNotFound): // used a moment ago
		return event.Attempt(errMailedCode, by)
	case errors.Is(err, ErrTaken): // whoever shows the code may know: the address is theirs
		return errEmailTaken
	}
	return err
}

// verifyLogin marks the address of a login as proven.
func (s *Service) verifyLogin(ctx context.Context, code proof.Code, l Login, e event.Event) (Verified, error) {
	err := s.Store.VerifyEmail(ctx, code.Hash(), l, s.Now(), byUser(e, l.UserID, l.OrganizationID))
	if errors.Is(err, proof.ErrNotFound) || errors.Is(err, ErrNotFound) {
		return Verified{}, event.Attempt(errMailedCode, e)
	}
	return Verified{Email: l.Email}, err
}

// signedUp says what the sign-up sets that a code completes.
func signedUp(e event.Event, p proof.Pending) event.Event {
	if e.Action != "" {
		e.Action = "auth.signed_up"
	}
	e.Changes = event.PersonalTexts("email", p.Email, "display_name", p.DisplayName)
	return e
}
