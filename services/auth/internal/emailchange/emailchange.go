// Package emailchange owns how people get another address for their login: by a code that is mailed
// to the new one, and after Identity has taken it over.
//
// It imports no driver, transport or generated code; the api package and the pages call it, and the
// postgres package stores for it.
package emailchange

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// Change is an address that a login gets, in one state at a time:
//
//	Confirm ──► reserved ──Identity has it──► committed
//	               │
//	               ├──Identity refuses it, or another login got it──► undone
//	               └──the password is reset, or the login suspended──► undone
//
// A reserved one is driven on by the request that made it, or by Reconcile; each step may happen
// twice without harm.
type Change struct {
	UserID, OrganizationID string
	Former, Email          string
	Revision               int64       // with which Identity is told
	Event                  event.Event // of the request that proved the address
	Accept                 string      // its Accept-Language, for the notices
}

// ErrTaken is an address that another login has or is about to get.
var ErrTaken = errors.New("the address is another login's")

// ErrNotFound is a change that is not reserved any more.
var ErrNotFound = errors.New("no such change of an address")

// Store keeps changes. Each method is one transaction; internal/emailchange/emailchangetest holds
// implementations to these words.
type Store interface {
	// Reserve uses the code up and reserves the address that it proves for the login of the user,
	// in place of another one that was reserved; the next attempt by Claim is not before retry.
	// proof.ErrNotFound when the code is not one of that user's that is good; ErrTaken, and the
	// code stays good, when the address is another login's; login.ErrNotFound when the login is
	// gone.
	Reserve(ctx context.Context, code proof.Hash, c Change, now, retry time.Time) (Change, error)
	// Commit gives the login the address, proven, queues the notices and records the event, once:
	// what somebody else has committed is no error. ErrTaken when another login got the address
	// meanwhile, ErrNotFound when the change is not reserved.
	Commit(ctx context.Context, c Change, now time.Time, notices ...*mail.Queued) error
	// Undo forgets a change that is reserved still, and has Identity told of the address that the
	// login has.
	Undo(ctx context.Context, c Change, now time.Time) error
	// Claim returns at most limit changes whose next attempt is due and moves that to retry, so
	// that no other caller gets them before.
	Claim(ctx context.Context, now, retry time.Time, limit int) ([]Change, error)
}

// Logins are the logins; login.Store is one.
type Logins interface {
	// ByEmail returns the login of a normalized address, or login.ErrNotFound.
	ByEmail(ctx context.Context, email string) (login.Login, error)
	// ByUser returns the login of a user, or login.ErrNotFound.
	ByUser(ctx context.Context, userID string) (login.Login, error)
}

// Directory is Identity.
type Directory interface {
	// SetEmail tells of the address of a user. Errors are of package apierr.
	SetEmail(ctx context.Context, e login.Email) error
}

// Params are the collaborators of the service.
type Params struct {
	Store     Store
	Logins    Logins
	Codes     proof.Store
	Directory Directory
	Desk      *mail.Desk    // nil where no mail is configured
	Timeout   time.Duration // of one call of Identity
	Grace     time.Duration // that the request has a change for itself
	Retry     time.Duration // between two attempts of Reconcile
	Now       func() time.Time
	Wake      func() // tells whoever sends mails that there may be one
	Log       *slog.Logger
}

// Service changes addresses.
type Service struct{ Params }

// NewService returns a service over its collaborators.
func NewService(p Params) *Service { return &Service{p} }

// Configured reports whether there is mail, without which no address is proven.
func (s *Service) Configured() bool { return s.Desk != nil }
