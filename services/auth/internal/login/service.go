package login

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
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
	NewID     func() string   // random UUIDs, version 4
	Now       func() time.Time
	Wake      func() // tells the feed that sessions ended here
	Log       *slog.Logger
}

// Service signs people up, proves passwords and removes logins.
type Service struct{ Params }

// NewService returns a service over its collaborators.
func NewService(p Params) *Service { return &Service{p} }

// errInvalidCredentials is the one response to every refused sign-in (R10).
var errInvalidCredentials = reason.InvalidCredentials()

// Authenticate returns the active login that email and password prove, and the event of the
// attempt, for whoever goes on with it. Unknown, pending and wrong are refused alike and after the
// same work (R10, R11). A hash made with weaker parameters than today's is replaced (R6).
func (s *Service) Authenticate(ctx context.Context, email, password string) (Login, event.Event, error) {
	email = address.Fold(email)
	e := attempted(ctx, email)
	l, err := Login{}, ErrNotFound
	if storable(email) {
		l, err = s.Store.ByEmail(ctx, email)
	}
	if errors.Is(err, ErrNotFound) {
		if err := s.Hasher.VerifyNobody(ctx, password); err != nil {
			return Login{}, event.Event{}, err
		}
		return Login{}, event.Event{}, event.Attempt(errInvalidCredentials, e)
	}
	if err != nil {
		return Login{}, event.Event{}, err
	}
	e = of(e, l.UserID) // so that the owner of the address sees the attempt
	match, weak, err := s.Hasher.Verify(ctx, password, l.PasswordHash)
	if err != nil {
		return Login{}, event.Event{}, err
	}
	if !match || l.State != Active {
		return Login{}, event.Event{}, event.Attempt(errInvalidCredentials, e)
	}
	if weak {
		s.rehash(ctx, l, password, rehashed(e, l))
	}
	return l, e, nil
}

// ByUser returns the login of a user, or ErrNotFound.
func (s *Service) ByUser(ctx context.Context, userID string) (Login, error) {
	return s.Store.ByUser(ctx, userID)
}

// rehash replaces a weak hash. It costs this sign-in a second hash, and nothing fails with it: the next sign-in tries again.
func (s *Service) rehash(ctx context.Context, l Login, password string, e event.Event) {
	hash, err := s.Hasher.Hash(ctx, password)
	if err == nil {
		err = s.Store.ReplaceHash(ctx, l.UserID, l.PasswordHash, hash, s.Now(), e)
	}
	if err != nil {
		s.Log.WarnContext(ctx, "weak password hash kept", "user_id", l.UserID, "error", err)
	}
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
