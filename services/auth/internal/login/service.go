package login

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// Config are the times that the service needs.
type Config struct {
	// CreateUserTimeout bounds one call of Identity; shorter than a request may take, so that the client learns what became of it.
	CreateUserTimeout time.Duration
	// SignUpGrace is how long the request that made a pending login has it for itself; longer than any request may take.
	SignUpGrace time.Duration
	// RetryInterval is the time between two attempts of Reconcile on one pending login.
	RetryInterval time.Duration
	// RevocationPeriod is how long an ended session must be announced: until its last access token has expired everywhere.
	RevocationPeriod time.Duration
	// SignUps is where people may sign up; a bootstrap is none.
	SignUps SignUps
	// BootstrapSecret makes the first administrator, once; empty makes none.
	BootstrapSecret string
}

// Params are the collaborators of the service.
type Params struct {
	Config    Config
	Store     Store
	Directory Directory
	Hasher    Hasher
	Passwords password.Policy // for new ones
	Throttle  *throttle.Guard
	Desk      *mail.Desk  // writes what people are told of their logins; nil where no mail is configured
	Codes     proof.Store // what waits for codes that are mailed

	Invitations InvitationStore

	NewID func() string // random UUIDs, version 4
	Now   func() time.Time
	Wake  func() // tells the feed that sessions ended here, and whoever sends mails that there may be one
	Log   *slog.Logger
}

// Service signs people up, proves passwords and removes logins.
type Service struct{ Params }

// NewService returns a service over its collaborators.
func NewService(p Params) *Service { return &Service{p} }

// errInvalidCredentials is the one response to every refused sign-in (R10).
var errInvalidCredentials = reason.InvalidCredentials()

// Credentials are what somebody shows to be signed in.
type Credentials struct {
	Email, Password string
	Device          string // what the device's cookie holds; "" without one
}

// Authenticate returns the active login that credentials prove, and the event of the attempt, for
// whoever goes on with it. Unknown, pending, wrong and throttled are refused alike and after the same
// work: one hash and the same statements (R7, R10, R11). A hash made with weaker parameters than
// today's is replaced (R6).
func (s *Service) Authenticate(ctx context.Context, c Credentials) (Login, event.Event, error) {
	email := address.Fold(c.Email)
	e := attempted(ctx, email)
	l, err := s.lookup(ctx, email)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Login{}, event.Event{}, err
	}
	e = of(e, l.UserID) // so that the owner of the address sees the attempt
	tried := throttle.Attempt{Factor: password.Factor, Account: email, Device: c.Device, Address: e.ClientAddress}
	proven, weak, err := s.prove(ctx, tried, l, c.Password)
	if err != nil {
		return Login{}, event.Event{}, err
	}
	if !proven {
		return Login{}, event.Event{}, event.Attempt(errInvalidCredentials, e)
	}
	if weak {
		l = s.rehash(ctx, l, c.Password, rehashed(e, l))
	}
	return l, e, nil
}

// lookup returns the login of an address, or ErrNotFound. For an address that none can have it asks
// the store for one that none has.
func (s *Service) lookup(ctx context.Context, email string) (Login, error) {
	if !storable(email) {
		email = ""
	}
	return s.Store.ByEmail(ctx, email)
}

// prove reports whether a password is that of an active login and the attempt need not wait. l may be
// the zero Login of nobody.
func (s *Service) prove(ctx context.Context, tried throttle.Attempt, l Login, given string) (proven, weak bool, err error) {
	match, weak, err := s.verify(ctx, l, given)
	if err != nil {
		return false, false, err
	}
	if match && l.State == Active {
		tried.UserID = l.UserID
	}
	proven, err = s.Throttle.Settle(ctx, tried)
	return proven, weak, err
}

// verify reports whether a password is that of a login, which may be nobody's.
func (s *Service) verify(ctx context.Context, l Login, given string) (match, weak bool, err error) {
	if l.PasswordHash == "" {
		return false, false, s.Hasher.VerifyNobody(ctx, given)
	}
	return s.Hasher.Verify(ctx, given, l.PasswordHash)
}

// ByUser returns the login of a user, or ErrNotFound.
func (s *Service) ByUser(ctx context.Context, userID string) (Login, error) {
	return s.Store.ByUser(ctx, userID)
}

// rehash replaces a weak hash, and returns the login with the one that it has then. It costs this
// sign-in a second hash, and nothing fails with it: the next sign-in tries again.
func (s *Service) rehash(ctx context.Context, l Login, password string, e event.Event) Login {
	hash, err := s.Hasher.Hash(ctx, password)
	if err == nil {
		err = s.Store.ReplaceHash(ctx, l.UserID, l.PasswordHash, hash, s.Now(), e)
	}
	switch {
	case err == nil:
		l.PasswordHash = hash
	case errors.Is(err, ErrNotFound):
		return s.again(ctx, l, password)
	default:
		s.Log.WarnContext(ctx, "weak password hash kept", "user_id", l.UserID, "error", err)
	}
	return l
}

// again is a login whose hash has changed while it was proven: as it is now when that was another
// sign-in, which has the same password, and else as it was, with which no session begins any more.
func (s *Service) again(ctx context.Context, l Login, password string) Login {
	now, err := s.Store.ByUser(ctx, l.UserID)
	if err != nil {
		return l
	}
	if match, _, err := s.Hasher.Verify(ctx, password, now.PasswordHash); err != nil || !match {
		return l
	}
	return now
}

// Remove ends all sessions of a user and removes the login, pending or active. A user without a
// login is not an error.
func (s *Service) Remove(ctx context.Context, userID string) error {
	if err := s.Store.Remove(ctx, userID, s.Now().Add(s.Config.RevocationPeriod), of(event.FromContext(ctx), userID)); err != nil {
		return err
	}
	s.Wake()
	return nil
}
