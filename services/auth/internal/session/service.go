package session

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
)

// ClientID is the client_id claim of the platform's own sign-in.
const ClientID = "gatehouse"

// MaxLifetime is the limit of Config.Lifetime (NIST SP 800-63B-4, AAL1).
const MaxLifetime = 30 * 24 * time.Hour

// RevocationPeriod is how long an ended session is announced: until its last access token has expired by the clock of any program,
// whatever lifetime it was configured to.
const RevocationPeriod = token.MaxTTL + time.Minute

// cleanSize is how many rows of each table one transaction of Clean deletes at most.
const cleanSize = 500

// Config says how long things last.
type Config struct {
	Issuer    string
	Audience  string
	AccessTTL time.Duration // of an access token, token.MaxTTL at most
	Lifetime  time.Duration // of a session, however busy
	Idle      time.Duration // without a refresh until a session is over; longer than AccessTTL
}

// Signer signs the access tokens; signingkey.Keeper is one.
type Signer interface {
	Sign(claims token.Claims) (string, error)
}

// Params are the collaborators of the service.
type Params struct {
	Config Config
	Store  Store
	Signer Signer
	NewID  func() string // random UUIDs, version 4
	Random io.Reader
	Now    func() time.Time
	Wake   func() // tells the feed that a session ended here
	Log    *slog.Logger
}

// Service starts, refreshes and ends sessions.
type Service struct{ Params }

// NewService returns a service over its collaborators.
func NewService(p Params) *Service { return &Service{p} }

// Tokens are what a client gets.
type Tokens struct {
	Access    string
	Refresh   string
	ExpiresIn time.Duration // of Access
}

var (
	errInvalidRefreshToken = reason.InvalidRefreshToken()
	errInvalidCredentials  = reason.InvalidCredentials()
)

// Start begins a session of a login that was just proven by an attempt. If that login was removed
// meanwhile, the response is that of a wrong password.
func (s *Service) Start(ctx context.Context, userID, organizationID string, attempt event.Event) (Tokens, error) {
	now := s.Now()
	refresh, err := newRefreshToken(s.Random)
	if err != nil {
		return Tokens{}, err
	}
	started := Session{
		ID: s.NewID(), UserID: userID, OrganizationID: organizationID, Family: refresh.familyHash(), Token: refresh.secretHash(),
		CreateTime: now, RefreshTime: now, ExpireTime: now.Add(s.Config.Lifetime),
	}
	tokens, err := s.tokens(started, refresh, now)
	if err != nil {
		return Tokens{}, err
	}
	err = s.Store.Start(ctx, started, started.event(attempt))
	if errors.Is(err, ErrNotFound) {
		return Tokens{}, event.Attempt(errInvalidCredentials, attempt)
	}
	if err != nil {
		return Tokens{}, err
	}
	return tokens, nil
}

// Refresh exchanges a refresh token for the next pair. Any token of a session but the newest ends
// the session (R33; RFC 9700, section 4.14.2): one of its two holders is not the user. There is no
// grace: of parallel calls with one token at most one gets a response, and what it got is dead.
func (s *Service) Refresh(ctx context.Context, compact string) (Tokens, error) {
	presented, ok := parseRefreshToken(compact)
	if !ok {
		return Tokens{}, errInvalidRefreshToken
	}
	next, err := presented.next(s.Random)
	if err != nil {
		return Tokens{}, err
	}
	e := event.FromContext(ctx)
	var tokens Tokens
	var refused error
	err = s.Store.Refresh(ctx, presented.familyHash(), func(found Session) Decision {
		var d Decision
		e.ObjectID = found.UserID // so that the user sees a refusal too
		tokens, d, refused = s.decide(ctx, found, presented, next, e)
		return d
	})
	if errors.Is(err, ErrNotFound) {
		return Tokens{}, errInvalidRefreshToken
	}
	if err = cmp.Or(err, refused); err != nil {
		s.Wake()
		return Tokens{}, event.Attempt(err, e)
	}
	return tokens, nil
}

// decide judges a presented token against its session.
func (s *Service) decide(ctx context.Context, found Session, presented, next refreshToken, e event.Event) (Tokens, Decision, error) {
	now := s.Now()
	switch {
	case !found.newest(presented.secretHash()):
		s.Log.WarnContext(ctx, "refresh token used again: session ended", "session_id", found.ID, "user_id", found.UserID)
		return Tokens{}, Decision{End: s.revocation(found.ID, now), Event: found.ended(e, causeReused)}, errInvalidRefreshToken
	case found.expired(now, s.Config.Idle):
		return Tokens{}, Decision{End: s.revocation(found.ID, now), Event: found.ended(e, causeExpired)}, errInvalidRefreshToken
	}
	tokens, err := s.tokens(found, next, now)
	if err != nil {
		return Tokens{}, Decision{}, err
	}
	return tokens, Decision{Rotate: &Rotation{Token: next.secretHash(), RefreshTime: now}, Event: found.event(e)}, nil
}

// End ends a session of a user: its refresh token at once, its access tokens as soon as the feed reaches each program. One that is gone
// is not an error.
func (s *Service) End(ctx context.Context, userID, sessionID string) error {
	e := event.FromContext(ctx)
	e.ObjectID = userID
	if err := s.Store.End(ctx, userID, *s.revocation(sessionID, s.Now()), e); err != nil {
		return err
	}
	s.Wake()
	return nil
}

// Clean deletes what expired, in bounded transactions, until nothing is left of it. An idle session is kept while it may still have an
// access token: without its row, ending it would revoke nothing.
func (s *Service) Clean(ctx context.Context) error {
	for {
		now := s.Now()
		n, err := s.Store.Clean(ctx, now, now.Add(-max(s.Config.Idle, RevocationPeriod)), cleanSize)
		if err != nil || n == 0 {
			return err
		}
	}
}

// tokens makes the pair that a session hands out at now. No access token outlives its session.
func (s *Service) tokens(of Session, refresh refreshToken, now time.Time) (Tokens, error) {
	expires := now.Add(s.Config.AccessTTL)
	if of.ExpireTime.Before(expires) {
		expires = of.ExpireTime
	}
	access, err := s.Signer.Sign(token.Claims{
		Issuer: s.Config.Issuer, Audience: []string{s.Config.Audience}, ClientID: ClientID, ID: s.NewID(),
		Subject: of.UserID, SessionID: of.ID, OrganizationID: of.OrganizationID, IssuedAt: now, ExpiresAt: expires,
	})
	if err != nil {
		return Tokens{}, err
	}
	return Tokens{Access: access, Refresh: refresh.compact(), ExpiresIn: expires.Sub(now)}, nil
}

func (s *Service) revocation(sessionID string, now time.Time) *Revocation {
	return &Revocation{SessionID: sessionID, ExpireTime: now.Add(RevocationPeriod)}
}
