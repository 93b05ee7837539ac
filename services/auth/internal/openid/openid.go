// Package openid is Auth as an OpenID provider: the handlers of OpenIDService, which are web
// exchanges (internal/web). OAuth clients and the browsers of their users come to them (OpenID
// Connect Core 1.0, RFC 6749, RFC 7009, RFC 7636, RFC 7662, RFC 9207).
//
// Errors and some words of the protocol are those of github.com/zitadel/oidc; what is granted is
// decided here (ADR 0085). Wiring imports it, and the postgres package stores for it.
package openid

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Paths of the provider, and of the pages that it sends people to.
const (
	AuthorizePath = "/oauth2/authorize"
	LogoutPath    = "/oauth2/logout"
	signInPath    = "/sign-in"
	signOutPath   = "/sign-out"
	// verifyFirstPath is where people verify their address, who then come back from the
	// application.
	verifyFirstPath = "/account?done=verify-first"
	returnTo        = "return_to" // parameter of the pages: where they send the browser when they are done
)

// Clients are the registered clients; client.Store is one.
type Clients interface {
	// Get returns a client, or client.ErrNotFound.
	Get(ctx context.Context, id string) (client.Client, error)
}

// Browsers are the browser sessions; session.Browsers is one.
type Browsers interface {
	// Find returns the session of a cookie, or session.ErrNotFound.
	Find(ctx context.Context, cookie string) (session.Browser, error)
	// End ends a session with all clients' sessions below it.
	End(ctx context.Context, b session.Browser) error
}

// Sessions are the sessions of clients; session.Service is one.
type Sessions interface {
	// Draw makes a session and its tokens. Nothing is stored.
	Draw(b session.Browser, g session.Grant) (session.Session, session.Tokens, error)
	// Get returns a session that is not over, or session.ErrNotFound.
	Get(ctx context.Context, id string) (session.Session, error)
	// RefreshClient exchanges a refresh token of the client.
	RefreshClient(ctx context.Context, c session.Client, refresh, scope string) (session.Session, session.Tokens, error)
	// ByRefreshToken returns the session of a refresh token of the client, or session.ErrNotFound.
	ByRefreshToken(ctx context.Context, clientID, refresh string) (session.Session, error)
	// EndClient ends a session by the will of its client.
	EndClient(ctx context.Context, s session.Session) error
	// EndReplayed ends the session of a code that was used again. One that is gone is not an error.
	EndReplayed(ctx context.Context, id string) error
}

// Store keeps which authorization codes were used. Each method is one transaction.
type Store interface {
	// Redeem uses a code up, stores its session and records the event, in one statement.
	// session.ErrNotFound when the browser session is gone or over when the session begins, or the
	// client is gone, and ErrCodeUsed when the code was used before; nothing is stored then. Of any
	// number of calls at once one stores the session. Whoever ends the browser session or deletes
	// the client at the same moment ends the session, too, or there is none.
	Redeem(ctx context.Context, s session.Session, codeExpires time.Time, e event.Event) error
	// CleanCodes deletes at most limit used codes that expired before, and returns how many.
	CleanCodes(ctx context.Context, before time.Time, limit int) (int, error)
}

// People knows who is signed in.
type People interface {
	// Person returns a person, or session.ErrNotFound when the login is gone.
	Person(ctx context.Context, userID string) (Person, error)
}

// IDTokens signs ID tokens, and reads those that clients give back as hints.
type IDTokens interface {
	// SignIDToken signs with the key of the algorithm.
	SignIDToken(algorithm string, claims any) (string, error)
	// VerifyIDToken returns the claims of a token that this issuer has signed, however old it is.
	VerifyIDToken(compact string) ([]byte, error)
}

// Verifier verifies access tokens; token.Verifier is one.
type Verifier interface {
	// VerifyIssued returns the claims of a good token of this issuer, whomever it is for.
	VerifyIssued(ctx context.Context, compact string) (token.Claims, error)
}

// Pages tell people what cannot be told to an application; pages.Pages does.
type Pages interface {
	// Refused says that an application's request cannot be answered, and why.
	Refused(w http.ResponseWriter, r *http.Request, text string)
	// Failed says that something went wrong here.
	Failed(w http.ResponseWriter, r *http.Request, err error)
}

// Params are what the provider is made of. All are required.
type Params struct {
	Issuer      string // exactly as tokens name it
	Contract    *contract.Contract
	Keys        Keys
	Clients     Clients
	Browsers    Browsers
	Sessions    Sessions
	Store       Store
	People      People
	Pages       Pages
	Permissions access.Permissions
	Codes       *Codes
	IDTokens    IDTokens
	Access      Verifier
	NewID       func() string // random UUIDs, version 4
	Now         func() time.Time
	Log         *slog.Logger
}

// Provider serves the endpoints.
type Provider struct{ Params }

// New returns a provider.
func New(p Params) *Provider { return &Provider{p} }

// Handlers are the handlers of OpenIDService, by method.
func (p *Provider) Handlers() map[string]http.Handler {
	metadata := document(metadataOf(p.Issuer, p.Contract, offered()), metadataAge)
	return map[string]http.Handler{
		"Configuration":               metadata,
		"AuthorizationServerMetadata": metadata,
		"KeySet":                      keySet(p.Keys),
		"Authorize":                   http.HandlerFunc(p.Authorize),
		"AuthorizeByPost":             http.HandlerFunc(p.Authorize),
		"Token":                       http.HandlerFunc(p.Token),
		"Userinfo":                    http.HandlerFunc(p.UserInfo),
		"UserinfoByPost":              http.HandlerFunc(p.UserInfo),
		"Introspect":                  http.HandlerFunc(p.Introspect),
		"Revoke":                      http.HandlerFunc(p.Revoke),
		"EndSession":                  http.HandlerFunc(p.EndSession),
		"EndSessionByPost":            http.HandlerFunc(p.EndSession),
	}
}

// codesKept is how long a used code is known after its time: until nobody's clock takes it for
// good.
const codesKept = 10 * time.Minute

// cleanSize is how many used codes one transaction of Clean deletes at most.
const cleanSize = 500

// Clean forgets used codes of long ago, in bounded transactions, until nothing is left of them.
func (p *Provider) Clean(ctx context.Context) error {
	for {
		n, err := p.Store.CleanCodes(ctx, p.Now().Add(-codesKept), cleanSize)
		if err != nil || n == 0 {
			return err
		}
	}
}
