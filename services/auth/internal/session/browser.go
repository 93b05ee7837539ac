package session

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/token"
)

// Browser is a person signed in with a browser. Its cookie signs the person in at every client
// without asking again; the sessions of those clients are below it and end with it.
type Browser struct {
	ID             string // random, and no secret: the cookie is one
	UserID         string
	OrganizationID string            // of the user
	Secret         [sha256.Size]byte // hash of what the cookie holds, unique
	AuthTime       time.Time         // when the person was last proven (auth_time of ID tokens)
	AMR            []string          // how the person was proven (RFC 8176)
	From           request.Client    // where the person was proven
	CreateTime     time.Time
	SeenTime       time.Time // when the cookie or a client below was last seen, to about seenStep
	ExpireTime     time.Time // it ends then, however busy
	ProvenBy       string    // Proof.PasswordHash; only of what is begun or renewed
	Factor         int64     // Proof.Factor; likewise
}

// BrowserStore keeps browser sessions. Each method is one transaction;
// internal/session/sessiontest holds implementations to these words.
type BrowserStore interface {
	// StartBrowser stores a session of a login and records the event, in one round trip;
	// ErrNotFound when the login is gone or not active, or has another password hash than the
	// person was proven by, or a second factor that was not shown. It waits for a removal of that
	// login, and for a change of its password or second factor.
	StartBrowser(ctx context.Context, b Browser, e event.Event) error
	// RenewBrowser replaces all but id, user and create time of the session that has the old secret
	// and records the event, in one round trip; ErrNotFound when it has another secret by now, or
	// is gone, or its login is or has another password hash or factor, as at StartBrowser.
	RenewBrowser(ctx context.Context, b Browser, old [sha256.Size]byte, e event.Event) error
	// FindBrowser returns the session with the secret, or ErrNotFound when there is none, its time
	// is over (it expired at now, or was not seen since idleSince), or the organization requires a
	// second factor that the login does not have. When it was not seen since
	// staleSince it is seen now; else nothing is written.
	FindBrowser(ctx context.Context, secret [sha256.Size]byte, now, idleSince, staleSince time.Time) (Browser, error)
	// EndBrowser ends a session of the user with all sessions below it, revokes these until the
	// time and records the event, all or nothing, whatever is begun below it at the same moment.
	// One that is gone is not an error and records nothing.
	EndBrowser(ctx context.Context, userID, id string, revokedUntil time.Time, e event.Event) error
	// CleanBrowsers deletes at most limit sessions that expired at now or were not seen since
	// idleSince, with all below them, and returns how many of the former.
	CleanBrowsers(ctx context.Context, now, idleSince time.Time, limit int) (int, error)
}

// event is the event of a request as the session's user causes it.
func (b Browser) event(e event.Event) event.Event {
	e.Actor = event.Actor{Type: event.User, ID: b.UserID, SessionID: b.ID, ClientID: token.PlatformClient}
	e.OrganizationID, e.ObjectID = b.OrganizationID, b.UserID
	return e
}
