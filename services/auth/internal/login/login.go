// Package login owns login identifiers and passwords: signing up, proving a password, removing a login.
//
// It imports no driver, transport or generated code; the api package calls it and the postgres
// package stores for it. It says what is recorded of each change (events.go); its stores record
// that in the same transaction.
package login

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// State is where a login is in its life.
//
//	SignUp ──► pending ──CreateUser answered──► active ──Remove──► (deleted)
//	              │                             │ ▲                   ▲
//	              │                      Suspend│ │Restore            │
//	              │                             ▼ │                   │
//	              │                          suspended ──Remove───────┤
//	              └──CreateUser refused for good, or Remove───────────┘
//
// A pending login that is suspended becomes suspended when CreateUser is answered.
//
// A pending login is driven on by the request that made it, by a repeated sign-up with the same password, or by Reconcile,
// whichever comes first; each step may happen twice without harm.
type State string

// The states of a login.
const (
	Pending State = "pending" // reserves the address; the user may or may not exist in Identity
	Active  State = "active"  // can sign in

	// Suspended is refused like a wrong password until it is restored.
	Suspended State = "suspended"
)

// Login is an address, its password and the user they prove.
type Login struct {
	UserID         string // random UUID, chosen here before the user exists
	Email          string // in the form of address.Fold, unique
	PasswordHash   string // PHC string
	State          State
	OrganizationID string // of the user; empty while pending
	DisplayName    string // for Identity; kept only while pending
	EmailVerified  bool   // somebody has proven that the address is theirs
	Invited        bool   // its user waits in Identity; only while pending
	Language       string // of mail.Language, that its owner is told in what others do; "" when it is not known

	Factor SecondFactor // of an active login

	FirstAdministrator bool       // its activation makes an administrator, of a bootstrap or a recovery; only while pending
	Recovery           SecretHash // of the recovery that it is made with; only when it is reserved
}

// SecondFactor is what a login tells of its second factor. Sign-in reads it with the password hash:
// whether there is one shows in no time that a refusal takes.
type SecondFactor struct {
	Enrolled bool
	Revision int64 // goes up with each change of it
	Required bool  // by the organization of the user
}

// Interrupted is a pending login that nobody works on any more, with the event of the request that made it; the event of a login from
// before events were kept is empty.
type Interrupted struct {
	Login
	Event event.Event
}

// ErrNotFound is a login that does not exist, or not in the state that was asked for.
var ErrNotFound = errors.New("no such login")

// ErrBootstrapped says that the secret was used before: that of the bootstrap, because the platform
// has, or had, its first administrator, or that of a recovery, which may also have expired.
var ErrBootstrapped = errors.New("the secret was used before")

// Activation is how a pending login becomes active, and what others learn of it.
type Activation struct {
	UserID, OrganizationID string
	Event                  event.Event
	Administrator          relation.Change // that follows when the login is one of an administrator
}

// NewActivation is the activation of a login whose user Identity has created, asked for by a
// request. Who acts is the person who was just proven.
func NewActivation(by event.Event, userID, organizationID string) Activation {
	return Activation{UserID: userID, OrganizationID: organizationID, Event: byUser(by, userID, organizationID), Administrator: Administrators(userID)}
}

// Administrators is the relationship that makes a user an administrator of the platform.
func Administrators(userID string) relation.Change {
	return relation.Change{Writes: []relation.Tuple{{Object: relation.Platform, Relation: "administrator", Subject: relation.User(userID)}}}
}

// Store keeps logins. Each method is one transaction; internal/login/logintest holds implementations to these words.
type Store interface {
	// Reserve stores a pending login whose next attempt by Claim is not before retry, with the
	// event of the request that makes it. When the address already has a login, that one is
	// returned with reserved = false and nothing changes. A login of an administrator takes its
	// secret, the bootstrap's or the recovery's, as well: while another pending login has that,
	// that one is returned, and after the first activation it is ErrBootstrapped. ErrNotFound when
	// the one to return was removed at the same moment.
	Reserve(ctx context.Context, l Login, by event.Event, now, retry time.Time) (existing Login, reserved bool, err error)
	// ReserveProven uses the code of a sign-up or, where the login is Invited, of an invitation up
	// and reserves the login like Reserve, all or nothing. It is proof.ErrNotFound when the code is
	// not good any more, and ErrTaken when the address has a login by now.
	ReserveProven(ctx context.Context, code proof.Hash, l Login, by event.Event, now, retry time.Time) error
	// VerifyEmail uses a code up, marks the address of the login that it is of as verified, to be
	// told to Identity, and records the event, all or nothing. It is proof.ErrNotFound when the
	// code is not good any more, and ErrNotFound when the login is gone, not active, or has another
	// address or password hash than l by now.
	VerifyEmail(ctx context.Context, code proof.Hash, l Login, now time.Time, e event.Event) error
	// Bootstrapped reports whether the bootstrap was used up.
	Bootstrapped(ctx context.Context) (bool, error)
	// Recoverable reports whether a recovery of the secret may still be used: it is not used up,
	// and not expired unless a pending login has it.
	Recoverable(ctx context.Context, secret SecretHash) (bool, error)
	// ByEmail returns the login of a normalized address, or ErrNotFound.
	ByEmail(ctx context.Context, email string) (Login, error)
	// ByUser returns the login of a user, or ErrNotFound.
	ByUser(ctx context.Context, userID string) (Login, error)
	// Activate makes a pending login active, or suspended if it is to be, forgets its display name
	// and records the event. That of an administrator also uses the secret up and appends the
	// relationships; their token is returned. An active login stays as it is, nothing is recorded,
	// and the token is the same. ErrNotFound when it is gone.
	Activate(ctx context.Context, a Activation, now time.Time) (consistencyToken string, err error)
	// Undo deletes a login if it is still pending, and frees the secret that it has.
	Undo(ctx context.Context, userID string) error
	// Claim returns at most limit pending logins whose next attempt is due and moves that attempt to retry, so that no other caller gets
	// them before.
	Claim(ctx context.Context, now, retry time.Time, limit int) ([]Interrupted, error)
	// ClaimEmails returns at most limit addresses that Identity has to learn of and whose next
	// attempt is due, of logins that are not pending nor about to get another address, and moves
	// that attempt to retry, so that no other caller gets them before.
	ClaimEmails(ctx context.Context, now, retry time.Time, limit int) ([]Email, error)
	// EmailTold says that Identity knows an address, unless that has a later revision by now.
	EmailTold(ctx context.Context, e Email) error
	// ReplaceHash changes a password hash that is still old and records the event. ErrNotFound when
	// it is another one by now, or the login is gone.
	ReplaceHash(ctx context.Context, userID, old, hash string, now time.Time, e event.Event) error
	// ChangePassword replaces a hash that is still old, ends and revokes all sessions of the user
	// but the one to keep and the one above it, queues the notice and records the event, all or
	// nothing. ErrNotFound when the hash is another one by now, or the login is gone or not active.
	ChangePassword(ctx context.Context, n NewHash, e event.Event) error
	// SetStanding suspends a login, in whatever state: makes the user's mailed codes worthless,
	// cancels a change of the address, ends and revokes all sessions; or restores it; queues the
	// notice and records the event, all or nothing. It waits for sessions that begin at this moment.
	// What is of no later revision than what was said before changes, tells and records nothing, like
	// what is said of a user without a login.
	SetStanding(ctx context.Context, n Standing, e event.Event) error
	// Remove makes the user's mailed codes worthless, revokes every session of the user until
	// revokedUntil, ends them, deletes the login, frees the secret that it has while pending, and
	// records the event, all or nothing. A user without a login is not an error and records
	// nothing.
	Remove(ctx context.Context, userID string, revokedUntil time.Time, e event.Event) error
}

// NewUser is what Identity is asked to create.
type NewUser struct {
	ID, Email, DisplayName string
	EmailVerified          bool
}

// Email is the address of an active login, as Identity has to learn of it.
type Email struct {
	UserID, Address string
	Verified        bool
	Revision        int64 // of both; it only grows
}

// User is what Identity answers.
type User struct {
	ID, OrganizationID, Email, DisplayName, Locale, TimeZone, ETag string
	State                                                          string // STATE_ACTIVE and so on, as Identity's contract names it
	EmailVerified                                                  bool
	CreateTime, UpdateTime                                         time.Time

	ConsistencyToken string // names the event that carries the user's relationships to Authz
}

// Directory is Identity as sign-up sees it.
type Directory interface {
	// CreateUser creates the user or returns it if it exists under that id and address. Errors are of package apierr.
	CreateUser(ctx context.Context, u NewUser) (User, error)
	// SetEmail tells of the address of a user. What was told before, or overtaken by a later
	// revision, changes nothing. Errors are of package apierr; a user that is gone is none.
	SetEmail(ctx context.Context, e Email) error
	// ActivateUser makes an invited user active, or returns it if it is already. Errors are of
	// package apierr.
	ActivateUser(ctx context.Context, userID string) (User, error)
}

// Hasher hashes and verifies passwords within bounds; password.Pool is one.
type Hasher interface {
	Hash(ctx context.Context, password string) (string, error)
	Verify(ctx context.Context, password, phc string) (match, weak bool, err error)
	VerifyNobody(ctx context.Context, password string) error
}

// storable reports whether text can be the address of any login at all; PostgreSQL refuses NUL in text.
func storable(email string) bool { return !strings.ContainsFunc(email, unicode.IsControl) }
