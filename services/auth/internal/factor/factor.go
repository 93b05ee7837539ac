// Package factor owns second factors: codes that an authenticator shows (TOTP, RFC 6238), recovery
// codes for whoever has lost it, what is asked between a password and a session, and which
// organizations require it.
//
// It imports no driver, transport or generated code; the api package and the pages call it, and the
// postgres package stores for it. A session begins only with the second factor that its login has:
// the stores of sessions look (session.Proof).
package factor

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/seal"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// Method is how a second factor was shown.
type Method string

// The methods.
const (
	TOTP     Method = "totp"
	Recovery Method = "recovery_code"
)

// Person is an active login as this package sees it.
type Person struct {
	UserID, OrganizationID, Email, PasswordHash string

	EmailVerified bool // somebody has proven that the address is theirs

	Revision   int64     // of the second factor; goes up with each change of it
	Sealed     []byte    // secret of the authenticator; nil without one
	LastStep   int64     // the newest step of which a code was used
	EnrolTime  time.Time // when the authenticator was enrolled; zero without one
	Codes      int       // recovery codes that are left
	IsRequired bool      // the organization requires a second factor
}

// Enrolled reports whether the person has a second factor.
func (p Person) Enrolled() bool { return p.Sealed != nil }

// Enrolled is a second factor that takes the place of the one of before, if any.
type Enrolled struct {
	UserID       string
	Revision     int64  // of before
	PasswordHash string // that the person was proven by; "" is any
	Sealed       []byte
	Step         int64 // of the code that was shown
	Codes        []CodeHash
	Keep         string // session that stays, which may be a browser's; the one above it stays too; "" for none
	Time         time.Time
	RevokedUntil time.Time
	Notice       *mail.Queued // nil is none
}

// ErrNotFound is a login or a factor that is not there, not active, or another one by now.
var ErrNotFound = errors.New("no such second factor")

// Store keeps second factors. Each method is one transaction; internal/factor/factortest holds
// implementations to these words.
type Store interface {
	// Person returns an active login, or ErrNotFound.
	Person(ctx context.Context, userID string) (Person, error)
	// Enrol stores a second factor with its recovery codes in place of what was there, ends and
	// revokes all sessions of the user but the one to keep and the one above it, queues the notice
	// and records the event, all or nothing. It returns the new revision; ErrNotFound when the
	// revision or the password hash is another one by now, or the login is gone or not active.
	Enrol(ctx context.Context, n Enrolled, e event.Event) (revision int64, err error)
	// UseStep takes a step: ErrNotFound when that step or a later one was taken, or the factor is
	// gone or another one. Of many at the same moment one succeeds.
	UseStep(ctx context.Context, userID string, revision, step int64) error
	// HasCode reports whether a recovery code is good.
	HasCode(ctx context.Context, userID string, hash CodeHash) (bool, error)
	// UseCode uses a recovery code up, queues the notice and records the event; ErrNotFound when it
	// is not good, or the factor is another one. Of many at the same moment one succeeds.
	UseCode(ctx context.Context, userID string, revision int64, hash CodeHash, notice *mail.Queued, e event.Event) error
	// ReplaceCodes makes other recovery codes good instead of those of before, queues the notice
	// and records the event; ErrNotFound when the factor is gone or another one.
	ReplaceCodes(ctx context.Context, userID string, revision int64, codes []CodeHash, notice *mail.Queued, e event.Event) error
	// Remove takes the second factor away with its recovery codes, queues the notice and records
	// the event; ErrNotFound when it is gone or another one.
	Remove(ctx context.Context, userID string, revision int64, notice *mail.Queued, e event.Event) error
	// Record records an event that changes nothing here.
	Record(ctx context.Context, e event.Event) error
	// Policy returns what an organization requires; of one that never said so, nothing.
	Policy(ctx context.Context, organizationID string) (Policy, error)
	// SetPolicy stores what an organization requires and records the event.
	SetPolicy(ctx context.Context, p Policy, e event.Event) error
	// ClaimPolicies returns at most limit policies whose next look is due and moves that to next,
	// so that no other caller gets them before.
	ClaimPolicies(ctx context.Context, now, next time.Time, limit int) ([]Policy, error)
	// DropPolicy deletes a policy, unless another one was set meanwhile. It records nothing: the
	// deletion of the organization is recorded.
	DropPolicy(ctx context.Context, p Policy) error
	// Reseal changes what is sealed of every second factor, all or none; reseal returns nil for
	// what is to stay.
	Reseal(ctx context.Context, reseal func(userID string, sealed []byte) ([]byte, error)) (changed int, err error)
}

// Policy is what an organization requires of its members when they sign in.
type Policy struct {
	OrganizationID       string
	SecondFactorRequired bool
	UpdateTime           time.Time // zero of one that was never set
}

// Params are the collaborators of the service.
type Params struct {
	Store            Store
	Secrets          *seal.Box // of authenticators
	Tokens           *seal.Box // of challenges and enrolments
	Throttle         *throttle.Guard
	Desk             *mail.Desk    // nil where no mail is configured
	Codes            proof.Store   // what waits for codes that are mailed
	Organizations    Organizations // of Identity
	Site             string        // that authenticators show, such as the host of the issuer
	RevocationPeriod time.Duration // how long an ended session must be announced
	Now              func() time.Time
	Wake             func() // tells the feed that sessions ended here, and whoever sends mails that there may be one
	Log              *slog.Logger
}

// Purposes are what the secrets of the boxes are derived for.
const (
	SecretPurpose = "gatehouse.auth.totp"                //nolint:gosec // a name, and no secret
	TokenPurpose  = "gatehouse.auth.second_factor_token" //nolint:gosec // likewise
)

// Service proves, enrols and removes second factors.
type Service struct{ Params }

// NewService returns a service over its collaborators.
func NewService(p Params) *Service { return &Service{p} }

var (
	errInvalid    = reason.InvalidSecondFactor()
	errChallenge  = reason.InvalidChallenge()
	errEnrolment  = reason.InvalidEnrolment()
	errNone       = reason.NoSecondFactor()
	errRequired   = reason.SecondFactorRequired()
	errUnproven   = reason.EmailNotVerified()
	errMailed     = errUnproven.Saying("a second factor is required, and the address has to be verified first: open the link that was mailed to it, then sign in again")
	errNobody     = reason.InvalidCredentials()
	errNoBoth     = errInvalid.Saying("show a code of the authenticator or a recovery code, and not both")
	errNotPending = errChallenge.Because(seal.ErrNotOurs)
)

// Status is what a person sees of the second factor.
type Status struct {
	Enrolled  bool
	EnrolTime time.Time
	Codes     int  // recovery codes that are left
	Required  bool // by the organization
}

// Status returns what a person has.
func (s *Service) Status(ctx context.Context, userID string) (Status, error) {
	p, err := s.Store.Person(ctx, userID)
	if errors.Is(err, ErrNotFound) {
		return Status{}, nil
	}
	return Status{Enrolled: p.Enrolled(), EnrolTime: p.EnrolTime, Codes: p.Codes, Required: p.IsRequired}, err
}

// Policy returns what an organization requires.
func (s *Service) Policy(ctx context.Context, organizationID string) (Policy, error) {
	return s.Store.Policy(ctx, organizationID)
}

// SetPolicy stores what an organization requires from now on. A member without a second factor
// enrols one at the next sign-in, and has to sign in again where that has happened before: browser
// sessions are worth nothing, and other sessions end when they are refreshed.
func (s *Service) SetPolicy(ctx context.Context, p Policy) (Policy, error) {
	p.UpdateTime = s.Now()
	e := event.FromContext(ctx)
	e.OrganizationID = p.OrganizationID
	return p, s.Store.SetPolicy(ctx, p, e)
}

// Reseal seals anew, with the current key, every secret that the previous one has sealed. One that
// neither opens stays as it is.
func (s *Service) Reseal(ctx context.Context) (changed int, err error) {
	return s.Store.Reseal(ctx, func(userID string, sealed []byte) ([]byte, error) {
		secret, byPrevious, err := s.Secrets.Open(sealed, []byte(userID))
		if err != nil || !byPrevious {
			return nil, nil //nolint:nilerr // it stays as it is
		}
		return s.Secrets.Seal(secret, []byte(userID))
	})
}
