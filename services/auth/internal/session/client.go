package session

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/token"
)

// ErrScope is a refresh that asks for more than the person granted (RFC 6749, section 6).
var ErrScope = errors.New("the scope exceeds what was granted")

// Grant is what a client gets of a person who is signed in with a browser.
type Grant struct {
	SessionID string // of the session that it gets; "" for a new one
	ClientID  string
	Scope     string   // with single spaces between
	Audience  []string // of its access tokens, beside the issuer
}

// Client is a client that was just authenticated, as it is registered now. What is taken from a
// client is taken from its sessions with their next refresh.
type Client struct {
	ID        string
	Scopes    []string // that it may have
	Audiences []string
}

// Draw makes a session of a client below a browser session, and its first tokens. It stores
// nothing: the statement that takes the authorization code stores the row, with the event that
// Started makes (postgres.sessionColumns).
func (s *Service) Draw(b Browser, g Grant) (Session, Tokens, error) {
	now := s.Now()
	refresh, err := newRefreshToken(s.Random)
	if err != nil {
		return Session{}, Tokens{}, err
	}
	expires := now.Add(s.Config.Lifetime)
	if b.ExpireTime.Before(expires) {
		expires = b.ExpireTime
	}
	drawn := Session{
		ID: cmp.Or(g.SessionID, s.NewID()), UserID: b.UserID, OrganizationID: b.OrganizationID, Family: refresh.familyHash(g.ClientID), Token: refresh.secretHash(),
		AuthTime: b.AuthTime, AMR: b.AMR, From: b.From, CreateTime: now, RefreshTime: now, ExpireTime: expires,
		BrowserID: b.ID, ClientID: g.ClientID, Scope: g.Scope, Audience: g.Audience,
	}
	tokens, err := s.tokens(drawn, refresh, now)
	return drawn, tokens, err
}

// RefreshClient exchanges a refresh token of a client for the next pair, by the rules of Refresh. A
// token of another client is an unknown one, and changes nothing. The scope, "" for all, narrows
// the access token alone; one that was not granted is ErrScope. The session that is returned has
// the scope and the audience of that token.
func (s *Service) RefreshClient(ctx context.Context, c Client, compact, scope string) (Session, Tokens, error) {
	e := event.FromContext(ctx)
	if e.Action != "" {
		e.Action = "auth.session_refreshed"
	}
	return s.refresh(ctx, compact, c.ID, e, func(found Session) (Session, error) {
		if scope != "" {
			for name := range strings.SplitSeq(scope, " ") {
				if !hasScope(found.Scope, name) {
					return Session{}, ErrScope
				}
			}
			found.Scope = scope
		}
		found.Scope = strings.Join(keep(strings.Fields(found.Scope), c.Scopes), " ")
		found.Audience = keep(found.Audience, c.Audiences)
		return found, nil
	})
}

// Get returns a session that is not over, or ErrNotFound. An access token is as good as its session
// (sid).
func (s *Service) Get(ctx context.Context, sessionID string) (Session, error) {
	found, err := s.Store.Get(ctx, sessionID)
	if err == nil && found.over(s.Now(), s.Config) {
		return Session{}, ErrNotFound
	}
	return found, err
}

// ByRefreshToken returns the session of a client whose newest refresh token is the one presented,
// or ErrNotFound: malformed, used, of another client and over are one answer. Nothing ends by it.
func (s *Service) ByRefreshToken(ctx context.Context, clientID, compact string) (Session, error) {
	presented, ok := parseRefreshToken(compact)
	if !ok {
		return Session{}, ErrNotFound
	}
	found, err := s.Store.GetFamily(ctx, presented.familyHash(clientID))
	if err == nil && (!found.newest(presented.secretHash()) || found.over(s.Now(), s.Config)) {
		return Session{}, ErrNotFound
	}
	return found, err
}

// EndClient ends a session by the will of its client (RFC 7009): the person's other sessions stay.
// The session is one that Get or ByRefreshToken returned; one that is gone is not an error.
func (s *Service) EndClient(ctx context.Context, found Session) error {
	return s.end(ctx, found, found.Event(event.FromContext(ctx)))
}

// EndReplayed ends the session that a second use of its authorization code reveals as stolen (R31).
// One that is gone is not an error.
func (s *Service) EndReplayed(ctx context.Context, sessionID string) error {
	found, err := s.Store.Get(ctx, sessionID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.end(ctx, found, found.ended(event.FromContext(ctx), causeReplayed))
}

func (s *Service) end(ctx context.Context, found Session, e event.Event) error {
	if err := s.Store.End(ctx, found.UserID, *s.revocation(found.ID, s.Now()), e); err != nil {
		return err
	}
	s.Wake()
	return nil
}

// client is the client_id of a session's access tokens.
func (s Session) client() string {
	if s.ClientID == "" {
		return token.PlatformClient
	}
	return s.ClientID
}

// scope is that of a session's access tokens.
func (s Session) scope() string {
	if s.ClientID == "" {
		return token.PlatformScope
	}
	return s.Scope
}

func hasScope(scope, name string) bool { return slices.Contains(strings.Fields(scope), name) }

// keep returns those of all that are allowed, in their order.
func keep(all, allowed []string) []string {
	kept := make([]string, 0, len(all))
	for _, one := range all {
		if slices.Contains(allowed, one) {
			kept = append(kept, one)
		}
	}
	return kept
}
