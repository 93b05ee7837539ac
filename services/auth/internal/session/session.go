// Package session owns sessions: their start, their refresh tokens, their end, and the feed of ended sessions that every program
// follows (contract: gatehouse.auth.v1.VerificationService/WatchRevocations).
//
// It imports no driver, transport or generated code; the api package calls it and the postgres
// package stores for it. It says what is recorded of each change (events.go); its store records
// that in the same transaction.
package session

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Session is a person signed in at one place: with the platform's own sign-in, or at a client and
// then below a browser session. Every refresh token that it ever handed out shares its family; only
// the newest is good.
type Session struct {
	ID             string // sid of its access tokens
	UserID         string
	OrganizationID string            // of the user
	Family         [sha256.Size]byte // hash of the first half of its refresh tokens, unique
	Token          [sha256.Size]byte // hash of the second half of the newest one
	AuthTime       time.Time         // when the person was proven
	AMR            []string          // how (RFC 8176)
	From           request.Client    // where the person was proven
	CreateTime     time.Time
	RefreshTime    time.Time // when the newest refresh token was handed out: it was last seen then
	ExpireTime     time.Time // the session ends then, however busy
	ProvenBy       string    // Proof.PasswordHash; only of one that begins, and is the platform's own
	Factor         int64     // Proof.Factor; likewise

	BrowserID   string    // of the browser session above it; "" of the platform's own sign-in, like all that follows
	BrowserSeen time.Time // when that was last seen; only of what is read
	ClientID    string
	Scope       string   // that the person granted the client, with single spaces between
	Audience    []string // of the client's access tokens, beside the issuer

	LacksFactor bool // the organization requires a second factor and the login has none; only of what is read
}

// Revocation is a session that ended before its access tokens expired.
type Revocation struct {
	SessionID  string
	ExpireTime time.Time // when its last access token has expired
}

// ErrNotFound is a session, family or login that does not exist (any more).
var ErrNotFound = errors.New("no such session")

// Decision is what happens to a session whose refresh token was presented: one of the two, or nothing.
type Decision struct {
	Rotate *Rotation   // hand out the next token
	End    *Revocation // end the session
	Event  event.Event // that records it
}

// Rotation replaces the newest refresh token. A browser session above was seen then, too, which is
// written when it was not seen since StaleSince.
type Rotation struct {
	Token       [sha256.Size]byte
	RefreshTime time.Time
	StaleSince  time.Time
}

// Window is a place in the order of commits: everything committed before it was seen.
type Window int64

// Store keeps sessions and revocations. Each method is one transaction; internal/session/sessiontest holds implementations to these
// words. A session and its revocation change together: there is no moment at which neither exists.
type Store interface {
	// Start stores a session of the platform's own sign-in and records the event, in one round
	// trip; ErrNotFound when the login is gone or not active, or has another password hash than the
	// person was proven by, or a second factor that was not shown. It waits for a removal of that
	// login, and for a change of its password or second factor.
	Start(ctx context.Context, s Session, e event.Event) error
	// Refresh asks decide about the session of the family, does what it says and records the
	// decision's event; ErrNotFound when there is no such family. When the session has got another
	// token meanwhile, decide is asked again: each token is replaced once.
	Refresh(ctx context.Context, family [sha256.Size]byte, decide func(Session) Decision) error
	// Get returns a session, whatever its times say, or ErrNotFound.
	Get(ctx context.Context, id string) (Session, error)
	// GetFamily returns the session of the family, whatever its times say, or ErrNotFound.
	GetFamily(ctx context.Context, family [sha256.Size]byte) (Session, error)
	// End ends a session of the user and records the event; one that is gone is not an error and
	// records nothing.
	End(ctx context.Context, userID string, r Revocation, e event.Event) error
	// Revocations returns those that had not expired at now and were committed after the window (0: all of them; some may come again),
	// and the window for the next call. None is ever missed, however late its transaction commits.
	Revocations(ctx context.Context, after Window, now time.Time) ([]Revocation, Window, error)
	// Clean deletes at most limit sessions that expired, or whose token is from before idleSince, and as many expired revocations. It
	// returns how many of both.
	Clean(ctx context.Context, now, idleSince time.Time, limit int) (int, error)
}

// newest reports whether hash is that of the newest refresh token, in constant time.
func (s Session) newest(hash [sha256.Size]byte) bool {
	return subtle.ConstantTimeCompare(s.Token[:], hash[:]) == 1
}

// expired reports whether the session is over by age or by disuse, its own or that of the browser
// session above it.
func (s Session) expired(now time.Time, c Config) bool {
	return !now.Before(s.ExpireTime) || !now.Before(s.RefreshTime.Add(c.Idle)) ||
		s.BrowserID != "" && !now.Before(s.BrowserSeen.Add(c.BrowserIdle))
}

// over reports whether the session hands out nothing any more: it is expired, or its user has to
// sign in again to enrol the second factor that the organization requires meanwhile.
func (s Session) over(now time.Time, c Config) bool { return s.expired(now, c) || s.LacksFactor }
