package login

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
)

// Bootstrap is what the platform's operator gives to get the first administrator.
type Bootstrap struct {
	Secret, Email, Password string
}

var (
	errBootstrapSecret = reason.InvalidBootstrapSecret()
	errBootstrapBusy   = reason.BootstrapInProgress()
)

// Bootstrap exchanges a single-use secret for an administrator: the configured one for the
// platform's first, one of `auth recover` for another when there is none left. It is a sign-up
// whose activation also writes the relationship that makes the user an administrator, and uses the
// secret up: for ever, however often the program restarts. Until then the secret belongs to one
// pending login: a crash in between is completed like that of a sign-up, and when Identity refuses
// the user, the secret is good again. A wrong and a used secret are refused alike.
func (s *Service) Bootstrap(ctx context.Context, in Bootstrap) (User, error) {
	recovery, err := s.admit(ctx, in.Secret)
	if err != nil {
		return User{}, err
	}
	by := event.FromContext(ctx)
	if recovery != "" {
		by = recovered(by)
	}
	email := address.Fold(in.Email)
	if err := s.admissible("password", in.Password, email); err != nil {
		return User{}, err
	}
	hash, err := s.Hasher.Hash(ctx, in.Password)
	if err != nil {
		return User{}, err
	}
	now := s.Now()
	l := Login{UserID: s.NewID(), Email: email, PasswordHash: hash, State: Pending, FirstAdministrator: true, Recovery: recovery}
	existing, reserved, err := s.Store.Reserve(ctx, l, by, now, now.Add(s.Config.SignUpGrace))
	switch {
	case errors.Is(err, ErrBootstrapped):
		return User{}, errBootstrapSecret
	case errors.Is(err, ErrNotFound):
		return User{}, errRemoved
	case err != nil:
		return User{}, err
	case reserved:
		return s.complete(ctx, l, by)
	case !existing.FirstAdministrator:
		return User{}, errEmailTaken
	}
	return s.resumeBootstrap(ctx, existing, by, email, in.Password)
}

// admit returns the recovery that the secret is of, "" for the bootstrap's. All secrets are refused
// after the same work.
func (s *Service) admit(ctx context.Context, secret string) (SecretHash, error) {
	right := matches(s.Config.BootstrapSecret, secret)
	used, err := s.Store.Bootstrapped(ctx)
	if err != nil {
		return "", err
	}
	recovery := HashSecret(secret)
	open, err := s.Store.Recoverable(ctx, recovery)
	switch {
	case err != nil:
		return "", err
	case right && !used:
		return "", nil
	case open:
		return recovery, nil
	}
	return "", errBootstrapSecret
}

// resumeBootstrap completes the pending login that holds the secret for whoever repeats its address and password.
func (s *Service) resumeBootstrap(ctx context.Context, l Login, by event.Event, email, pw string) (User, error) {
	busy := errBootstrapBusy.WithRetryAfter(s.Config.RetryInterval)
	if l.Email != email {
		return User{}, busy
	}
	match, _, err := s.Hasher.Verify(ctx, pw, l.PasswordHash)
	if err != nil {
		return User{}, err
	}
	if !match {
		return User{}, busy
	}
	return s.complete(ctx, l, by)
}

// matches compares in constant time; the hashes hide the length. Without a configured secret nothing matches.
func matches(configured, given string) bool {
	a, b := sha256.Sum256([]byte(configured)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && configured != ""
}
