package session

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

// Entry is one place where a person is signed in, as the person sees it: a browser with the clients
// that were signed in to from there, or the platform's own sign-in.
type Entry struct {
	ID         string
	Browser    bool           // it is a browser session
	From       request.Client // where the person was proven
	CreateTime time.Time
	SeenTime   time.Time // to about a minute of a browser, to the last refresh of the platform's own sign-in
	ExpireTime time.Time
	Clients    []ClientEntry // below a browser session, the newest first, at most 100
}

// ClientEntry is a person signed in at a client.
type ClientEntry struct {
	ID         string
	ClientID   string
	ClientName string
	CreateTime time.Time
	SeenTime   time.Time // of the last refresh
	ExpireTime time.Time
}

// Has reports whether a session is the entry or below it.
func (e Entry) Has(sessionID string) bool {
	for _, c := range e.Clients {
		if c.ID == sessionID {
			return true
		}
	}
	return e.ID == sessionID
}

func (e Entry) position() resource.Cursor {
	return resource.Cursor{CreateTime: e.CreateTime, ID: e.ID}
}

// Limits are the moments since which a session must have been used not to be over.
type Limits struct {
	Now         time.Time
	IdleSince   time.Time // of those with refresh tokens
	BrowserIdle time.Time // of browser sessions
}

// OverviewStore shows and ends the sessions of one user, of both kinds. Each method is one
// transaction; internal/session/sessiontest holds implementations to these words.
type OverviewStore interface {
	// ListEntries returns those that are not over, the newest first, each with what is below it.
	ListEntries(ctx context.Context, userID string, l Limits, q resource.Query) ([]Entry, error)
	// EndOne ends a session of the user, with what is below it, revokes until the time, queues the
	// notice and records the event, all or nothing; false when the user has no such session, and
	// nothing is queued or recorded.
	EndOne(ctx context.Context, userID, id string, revokedUntil time.Time, notice *mail.Queued, e event.Event) (ended bool, err error)
	// EndOthers does so with all sessions of the user but the one to keep, "" for none, and the one
	// above that. When there are none, nothing is queued or recorded. Whatever begins at the same
	// moment is ended too, or begins afterwards.
	EndOthers(ctx context.Context, userID, keep string, revokedUntil time.Time, notice *mail.Queued, e event.Event) error
}

// OverviewParams are the collaborators of Overview.
type OverviewParams struct {
	Config Config
	Store  OverviewStore
	Desk   *mail.Desk // nil where no mail is configured
	Now    func() time.Time
	Wake   func() // tells the feed that sessions ended here, and whoever sends mails that there may be one
}

// Overview shows people, and administrators, where a person is signed in, and ends it (R23).
type Overview struct{ OverviewParams }

// NewOverview returns a service over its collaborators.
func NewOverview(p OverviewParams) *Overview { return &Overview{p} }

// Person is whose sessions are meant.
type Person struct {
	UserID, OrganizationID string

	Told     string // address that is told that an administrator has ended sessions (R17); "" for those who end their own
	Language string // that is known of whoever is told; "" when it is not
}

var errSessionNotFound = reason.SessionNotFound()

// List returns a page of a user's sessions, the newest first, and the position of the next one.
func (s *Overview) List(ctx context.Context, userID string, q resource.Query) ([]Entry, *resource.Cursor, error) {
	size, ahead := q.Page()
	now := s.Now()
	limits := Limits{Now: now, IdleSince: now.Add(-s.Config.Idle), BrowserIdle: now.Add(-s.Config.BrowserIdle)}
	rows, err := s.Store.ListEntries(ctx, userID, limits, ahead)
	if err != nil {
		return nil, nil, err
	}
	page, next := resource.Cut(rows, size, Entry.position)
	return page, next, nil
}

// EndOne ends a session of a person: refresh tokens are refused at once, access tokens as soon as
// the feed reaches each program (R22). An unknown id and one of somebody else are
// SESSION_NOT_FOUND (R52).
func (s *Overview) EndOne(ctx context.Context, p Person, id string) error {
	ended, err := s.Store.EndOne(ctx, p.UserID, id, s.Now().Add(RevocationPeriod), s.notice(ctx, p), p.event(ctx))
	if err != nil {
		return err
	}
	if !ended {
		return errSessionNotFound
	}
	s.Wake()
	return nil
}

// EndOthers ends all sessions of a person but the one to keep, which may be a browser's, and the
// one above it; "" keeps none.
func (s *Overview) EndOthers(ctx context.Context, p Person, keep string) error {
	if err := s.Store.EndOthers(ctx, p.UserID, keep, s.Now().Add(RevocationPeriod), s.notice(ctx, p), p.event(ctx)); err != nil {
		return err
	}
	s.Wake()
	return nil
}

// notice tells a person that somebody else has ended sessions.
func (s *Overview) notice(ctx context.Context, p Person) *mail.Queued {
	if p.Told == "" {
		return nil
	}
	return s.Desk.SessionsEnded(ctx, p.Told, p.Language)
}

// event is the event of a request about a person's sessions, whoever asks.
func (p Person) event(ctx context.Context) event.Event {
	e := event.FromContext(ctx)
	e.ObjectID, e.OrganizationID = p.UserID, p.OrganizationID
	return e
}
