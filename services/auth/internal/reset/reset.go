// Package reset owns how people who have lost their password get another one: by a code that is
// mailed to the address of their login, and by the second factor that it has.
//
// A reset proves who may choose the password, and signs nobody in. The package imports no driver,
// transport or generated code; the api package and the pages call it, and the postgres package
// stores for it.
package reset

import (
	"context"
	"log/slog"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// NewPassword is a password that takes the place of one that is lost.
type NewPassword struct {
	Code          proof.Hash // of the mail; it is used up
	UserID, Email string     // of the login that the code is for
	Verified      bool       // the address was proven before
	Factor        int64      // revision of the second factor that was looked at
	Hash          string
	Language      string // of the person from now on; "" leaves it as it is
	Time          time.Time
	RevokedUntil  time.Time
	Notice        *mail.Queued // nil is none
}

// Store keeps logins, as a reset sees them. Its method is one transaction;
// internal/reset/resettest holds implementations to these words.
type Store interface {
	// Reset uses the code up, replaces the password hash, marks the address as proven, ends and
	// revokes all sessions of the user, makes the user's other codes worthless, queues the notice
	// and records the event, all or nothing. Where the address was not proven before, the second
	// factor and the known devices go too: they are of whoever registered it. proof.ErrNotFound
	// when the code is not one of that user's that is good; login.ErrNotFound when the login is
	// gone, not active or of another address, or when its second factor is another one by now or
	// its address was proven.
	Reset(ctx context.Context, n NewPassword, e event.Event) error
}

// Logins are the logins; login.Store is one.
type Logins interface {
	// ByEmail returns the login of a normalized address, or login.ErrNotFound.
	ByEmail(ctx context.Context, email string) (login.Login, error)
	// ByUser returns the login of a user, or login.ErrNotFound.
	ByUser(ctx context.Context, userID string) (login.Login, error)
}

// Factors prove people by their second factors; factor.Service is one.
type Factors interface {
	// Verify uses up the code that a user shows, or is INVALID_SECOND_FACTOR.
	Verify(ctx context.Context, userID string, g factor.Given) (factor.Method, error)
}

// Params are the collaborators of the service.
type Params struct {
	Store            Store
	Logins           Logins
	Codes            proof.Store
	Factors          Factors
	Hasher           login.Hasher
	Passwords        password.Policy
	Throttle         *throttle.Guard
	Desk             *mail.Desk    // nil where no mail is configured
	RevocationPeriod time.Duration // how long an ended session must be announced
	Now              func() time.Time
	Wake             func() // tells the feed that sessions ended here, and whoever sends mails that there may be one
	Log              *slog.Logger
}

// Service mails codes and resets passwords by them.
type Service struct{ Params }

// NewService returns a service over its collaborators.
func NewService(p Params) *Service { return &Service{p} }

// Configured reports whether there is mail, without which nothing can be reset.
func (s *Service) Configured() bool { return s.Desk != nil }
