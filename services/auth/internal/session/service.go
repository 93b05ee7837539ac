package session

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
)

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

	BrowserIdle time.Duration // BrowserConfig.Idle
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

// Start begins a session of a person who was just proven. If the login was removed meanwhile, its
// password changed, or it has a second factor that was not shown, the error is that of a wrong
// password.
func (s *Service) Start(ctx context.Context, p Proof) (Tokens, error) {
	now := s.Now()
	refresh, err := newRefreshToken(s.Random)
	if err != nil {
		return Tokens{}, err
	}
	started := Session{
		ID: s.NewID(), UserID: p.UserID, OrganizationID: p.OrganizationID, Family: refresh.familyHash(""), Token: refresh.secretHash(),
		AuthTime: now, AMR: p.AMR, From: request.Client{Address: p.Attempt.ClientAddress, Agent: p.Attempt.ClientAgent},
		CreateTime: now, RefreshTime: now, ExpireTime: now.Add(s.Config.Lifetime), ProvenBy: p.PasswordHash, Factor: p.Factor,
	}
	tokens, err := s.tokens(started, refresh, now)
	if err != nil {
		return Tokens{}, err
	}
	err = s.Store.Start(ctx, started, started.Event(p.Attempt))
	if errors.Is(err, ErrNotFound) {
		return Tokens{}, event.Attempt(errInvalidCredentials, p.Attempt)
	}
	if err != nil {
		return Tokens{}, err
	}
	return tokens, nil
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

// tokens makes the pair that a session hands out at now. No access token outlives its session. That
// of a client is for the issuer's own endpoints and the client's audiences; it is for the
// platform's API only with the scope for that.
func (s *Service) tokens(of Session, refresh refreshToken, now time.Time) (Tokens, error) {
	expires := now.Add(s.Config.AccessTTL)
	if of.ExpireTime.Before(expires) {
		expires = of.ExpireTime
	}
	access, err := s.Signer.Sign(token.Claims{
		Issuer: s.Config.Issuer, Audience: s.audience(of), ClientID: of.client(), Scope: of.scope(), ID: s.NewID(),
		Subject: of.UserID, SessionID: of.ID, OrganizationID: of.OrganizationID, IssuedAt: now, ExpiresAt: expires, AuthTime: of.AuthTime,
	})
	if err != nil {
		return Tokens{}, err
	}
	return Tokens{Access: access, Refresh: refresh.compact(), ExpiresIn: expires.Sub(now)}, nil
}

// audience is what the access tokens of a session are for.
func (s *Service) audience(of Session) []string {
	if of.ClientID == "" {
		return []string{s.Config.Audience}
	}
	audience := []string{s.Config.Issuer}
	for _, a := range of.Audience {
		if a != s.Config.Audience && !slices.Contains(audience, a) {
			audience = append(audience, a)
		}
	}
	if hasScope(of.Scope, token.PlatformScope) {
		audience = append(audience, s.Config.Audience)
	}
	return audience
}

func (s *Service) revocation(sessionID string, now time.Time) *Revocation {
	return &Revocation{SessionID: sessionID, ExpireTime: now.Add(RevocationPeriod)}
}
