package session

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
)

// seenStep is how old the seen time of a browser session gets before a look at the session writes
// it anew: most looks only read.
const seenStep = time.Minute

// BrowserConfig says how long browser sessions last.
type BrowserConfig struct {
	Lifetime time.Duration // from the last authentication, however busy; MaxLifetime at most (R21)
	Idle     time.Duration // without being seen
}

// BrowserParams are the collaborators of Browsers.
type BrowserParams struct {
	Config BrowserConfig
	Store  BrowserStore
	NewID  func() string // random UUIDs, version 4
	Random io.Reader
	Now    func() time.Time
	Wake   func() // tells the feed that sessions ended here
}

// Browsers begins, finds and ends browser sessions.
type Browsers struct{ BrowserParams }

// NewBrowsers returns a service over its collaborators.
func NewBrowsers(p BrowserParams) *Browsers { return &Browsers{p} }

// Proof is a person who was just proven.
type Proof struct {
	UserID, OrganizationID string
	AMR                    []string    // how (RFC 8176)
	PasswordHash           string      // that the password was compared with; "" when it cannot have changed since
	Factor                 int64       // revision of the second factor that was shown; 0 when none was
	Cookie                 string      // the one that the browser showed; "" if none
	Attempt                event.Event // of the request, as login.Service returns it
}

// Begin begins the browser session of a person who was just proven, and returns what its cookie
// holds, for Cookie. That is a new secret each time, and what the browser showed before is worth
// nothing afterwards (R20): a session of the same person goes on with the new secret, so that the
// clients below it stay signed in; one of somebody else ends, with all below it. If the login was
// removed meanwhile, its password changed, or it has a second factor that was not shown, the error
// is that of a wrong password.
func (s *Browsers) Begin(ctx context.Context, p Proof) (cookie string, b Browser, err error) {
	drawn, err := newSecret(s.Random)
	if err != nil {
		return "", Browser{}, err
	}
	now := s.Now()
	b = Browser{
		ID: s.NewID(), UserID: p.UserID, OrganizationID: p.OrganizationID, Secret: drawn.hash(), AuthTime: now, AMR: p.AMR, ProvenBy: p.PasswordHash, Factor: p.Factor,
		From:       request.Client{Address: p.Attempt.ClientAddress, Agent: p.Attempt.ClientAgent},
		CreateTime: now, SeenTime: now, ExpireTime: now.Add(s.Config.Lifetime),
	}
	old, err := s.Find(ctx, p.Cookie)
	switch {
	case errors.Is(err, ErrNotFound):
		err = s.Store.StartBrowser(ctx, b, b.event(p.Attempt))
	case err != nil:
		return "", Browser{}, err
	default:
		b, err = s.replace(ctx, old, b, p.Attempt)
	}
	if errors.Is(err, ErrNotFound) {
		return "", Browser{}, event.Attempt(errInvalidCredentials, p.Attempt)
	}
	if err != nil {
		return "", Browser{}, err
	}
	return drawn.compact(), b, nil
}

// replace stores a session in the place of the one that the browser had.
func (s *Browsers) replace(ctx context.Context, old, b Browser, attempt event.Event) (Browser, error) {
	if old.UserID != b.UserID {
		if err := s.end(ctx, old, old.ended(attempt, causeReplaced)); err != nil {
			return Browser{}, err
		}
		return b, s.Store.StartBrowser(ctx, b, b.event(attempt))
	}
	renewed := b
	renewed.ID, renewed.CreateTime = old.ID, old.CreateTime
	err := s.Store.RenewBrowser(ctx, renewed, old.Secret, renewed.event(attempt))
	if errors.Is(err, ErrNotFound) { // it ended, or was renewed by another tab, a moment ago
		return b, s.Store.StartBrowser(ctx, b, b.event(attempt))
	}
	return renewed, err
}

// Find returns the session of a cookie's value, or ErrNotFound: malformed, unknown, ended and over
// are one answer. The session is seen by it.
func (s *Browsers) Find(ctx context.Context, cookie string) (Browser, error) {
	shown, ok := parseSecret(cookie)
	if !ok {
		return Browser{}, ErrNotFound
	}
	now := s.Now()
	return s.Store.FindBrowser(ctx, shown.hash(), now, now.Add(-s.Config.Idle), now.Add(-seenStep))
}

// End ends a session by the will of whoever holds its cookie, with all clients' sessions below it:
// their refresh tokens at once, their access tokens as soon as the feed reaches each program (R22).
// It records the event of the request. One that is gone is not an error.
func (s *Browsers) End(ctx context.Context, b Browser) error {
	return s.end(ctx, b, b.event(event.FromContext(ctx)))
}

func (s *Browsers) end(ctx context.Context, b Browser, e event.Event) error {
	if err := s.Store.EndBrowser(ctx, b.UserID, b.ID, s.Now().Add(RevocationPeriod), e); err != nil {
		return err
	}
	s.Wake()
	return nil
}

// Clean deletes what is over, in bounded transactions, until nothing is left of it. A session is
// kept while a client's session below it may still have an access token: without its row, ending it
// would revoke nothing.
func (s *Browsers) Clean(ctx context.Context) error {
	for {
		now := s.Now()
		n, err := s.Store.CleanBrowsers(ctx, now, now.Add(-max(s.Config.Idle, RevocationPeriod)), cleanSize)
		if err != nil || n == 0 {
			return err
		}
	}
}
