package login

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
)

// SignUps says where people may sign up.
type SignUps string

// Where people may sign up. What is none of these admits nobody.
const (
	SignUpsOpen    SignUps = "open"   // on the pages and over the API
	SignUpsOnPages SignUps = "pages"  // on the pages alone
	SignUpsClosed  SignUps = "closed" // nowhere
)

// OnPages reports whether people may sign up on the pages.
func (s SignUps) OnPages() bool { return s == SignUpsOpen || s == SignUpsOnPages }

// SignUp is what a person gives to get a login.
type SignUp struct {
	Email, Password, DisplayName string

	OnPage   bool   // it comes from the page, not over the API
	Accept   string // Accept-Language of the request, if it had one: the mail is in that language
	ReturnTo string // where a person goes on who has proven the address on the page; "" is nowhere in particular
}

var (
	errEmailTaken = reason.EmailTaken()
	errPassword   = reason.PasswordRefused()
	errRefused    = reason.SignUpRefused()
	errIdentity   = reason.IdentityUnavailable().Saying("the sign-up is stored and will be completed; repeat it with the same password or sign in a little later")
	errRemoved    = reason.SignUpInterrupted()
	errClosed     = reason.SignUpClosed()
	errPagesOnly  = errClosed.Saying("people sign up on the page /sign-up here")
)

// SignUp creates a login and its user: reserve the address here, create the user in Identity,
// activate the login. An address that has a login is EMAIL_TAKEN, unless that login is pending and
// the password is the same: then this call completes it. Where it is not admitted, it is
// SIGN_UP_CLOSED. Where mail is configured the answer is the zero User for every address: nothing
// is created before the code that is mailed there was shown.
func (s *Service) SignUp(ctx context.Context, in SignUp) (User, error) {
	if err := s.Config.SignUps.admit(in); err != nil {
		return User{}, err
	}
	email := address.Fold(in.Email)
	if err := s.admissible("password", in.Password, email, in.DisplayName); err != nil {
		return User{}, err
	}
	if s.Desk != nil {
		return User{}, s.askSignUp(ctx, email, in)
	}
	l, err := s.Store.ByEmail(ctx, email)
	if errors.Is(err, ErrNotFound) {
		return s.signUpNew(ctx, email, in)
	}
	if err != nil {
		return User{}, err
	}
	return s.resume(ctx, l, event.FromContext(ctx), in.Password)
}

// admit refuses a sign-up that may not be made, or not this way.
func (s SignUps) admit(in SignUp) error {
	switch {
	case s == SignUpsOpen, s == SignUpsOnPages && in.OnPage:
		return nil
	case s == SignUpsOnPages:
		return errPagesOnly
	}
	return errClosed
}

// admissible is Admissible by the rules of the service.
func (s *Service) admissible(field, given, email string, names ...string) error {
	return Admissible(s.Passwords, field, given, email, names...)
}

// Admissible refuses a new password of whoever has an address that breaks a rule (R4), with
// PASSWORD_REFUSED. field is where it was given, and names are what the person is called.
func Admissible(rules password.Policy, field, given, email string, names ...string) error {
	local, _, _ := strings.Cut(email, "@")
	v, err := rules.Check(given, append(names, email, local, "gatehouse")...)
	if err != nil || v == nil {
		return err
	}
	return errPassword.WithField(field, v.Rule, v.Description)
}

// signUpNew reserves a free address and completes the sign-up, or resumes the one that took the address meanwhile.
func (s *Service) signUpNew(ctx context.Context, email string, in SignUp) (User, error) {
	hash, err := s.Hasher.Hash(ctx, in.Password)
	if err != nil {
		return User{}, err
	}
	by, now := event.FromContext(ctx), s.Now()
	l := Login{UserID: s.NewID(), Email: email, PasswordHash: hash, State: Pending, DisplayName: in.DisplayName, Language: mail.Language(in.Accept)}
	existing, reserved, err := s.Store.Reserve(ctx, l, by, now, now.Add(s.Config.SignUpGrace))
	if errors.Is(err, ErrNotFound) {
		return User{}, errRemoved
	}
	if err != nil {
		return User{}, err
	}
	if !reserved {
		return s.resume(ctx, existing, by, in.Password)
	}
	return s.complete(ctx, l, by)
}

// resume completes a pending sign-up for whoever knows its password; its display name stays the
// first one given. A pending first administrator is not a sign-up.
func (s *Service) resume(ctx context.Context, l Login, by event.Event, pw string) (User, error) {
	if l.State != Pending || l.FirstAdministrator {
		return User{}, errEmailTaken
	}
	match, _, err := s.Hasher.Verify(ctx, pw, l.PasswordHash)
	if err != nil {
		return User{}, err
	}
	if !match {
		return User{}, errEmailTaken
	}
	return s.complete(ctx, l, by)
}

// complete drives a pending login to its end: active, or undone when Identity refuses the user for good. Everything else leaves it
// pending for Reconcile. What is recorded names the request that made it.
func (s *Service) complete(ctx context.Context, l Login, by event.Event) (User, error) {
	bounded, cancel := context.WithTimeout(ctx, s.Config.CreateUserTimeout)
	defer cancel()
	u, err := s.inIdentity(bounded, l)
	if err != nil {
		return User{}, s.failed(ctx, l, err)
	}
	token, err := s.Store.Activate(ctx, NewActivation(by, l.UserID, u.OrganizationID), s.Now())
	if errors.Is(err, ErrNotFound) {
		return User{}, errRemoved
	}
	if err != nil {
		return User{}, err
	}
	u.ConsistencyToken = cmp.Or(token, u.ConsistencyToken)
	return u, nil
}

// failed undoes a sign-up that Identity refused for good and says what the caller may know.
func (s *Service) failed(ctx context.Context, l Login, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch apierr.From(cause).Kind {
	case apierr.InvalidArgument, apierr.AlreadyExists, apierr.FailedPrecondition, apierr.NotFound:
		if err := s.Store.Undo(ctx, l.UserID); err != nil {
			return err // still pending: Reconcile will be refused and undo it
		}
		return errRefused.Because(cause)
	default:
		return errIdentity.WithRetryAfter(s.Config.RetryInterval).Because(cause)
	}
}
