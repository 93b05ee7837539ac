// Package client owns OAuth clients: what a team registers so that people sign in to its
// application (RFC 6749, section 2). It has the rules of where answers may be sent, and the secrets
// of those that can keep one.
//
// It imports no driver, transport or generated code but that of reasons; the api and openid
// packages call it and the postgres package stores for it.
package client

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/internal/resource"
)

// Algorithms of ID tokens (RFC 7518, section 3.1; RFC 8037). RS256 is what a client gets that
// chooses none, since libraries expect it (OpenID Connect Core, section 2).
const (
	RS256 = "RS256"
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

// Scopes that a client may ask for.
const (
	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopeRoles         = "roles"
	ScopeOfflineAccess = "offline_access"
	// ScopePlatform is the platform's own API, with all rights of whoever signed in. A client has
	// it only when an administrator granted it.
	ScopePlatform = "gatehouse"
)

// ownScopes are what every client may be registered for, in the order in which they are stored.
func ownScopes() []string {
	return []string{ScopeOpenID, ScopeProfile, ScopeEmail, ScopeRoles, ScopeOfflineAccess}
}

// idPrefix makes an id that no user has: the sub of a user is a bare UUID (R35, RFC 9700, section
// 4.15).
const idPrefix = "client-"

// NewID returns the id of the client for a random UUID.
func NewID(random string) string { return idPrefix + random }

// MaxSecrets is how many secrets of a client are valid at the same time: two, while one replaces
// the other.
const MaxSecrets = 2

// Client is a registered application. All are first-party: nobody is asked for consent.
type Client struct {
	ID                     string // client_id: "client-" and a random UUID
	Name                   string // for people
	Public                 bool   // runs where it can keep no secret: a browser, a phone, a desktop (RFC 6749, section 2.1)
	RedirectURIs           []string
	PostLogoutRedirectURIs []string
	WebOrigins             []string // whose pages may call the provider from a browser
	Audiences              []string // that its access tokens are for, beside the platform
	Scopes                 []string // that it may ask for
	IDTokenAlgorithm       string
	RequireVerifiedEmail   bool     // of people who sign in to it
	Secrets                []Secret // oldest first; none of a public client
	Revision               int64
	CreateTime             time.Time // UTC, microseconds
	UpdateTime             time.Time // UTC, microseconds
}

// Secret is a client secret as it is stored. It has full entropy, so that a slow hash would add
// nothing.
type Secret struct {
	ID         string // UUID; not secret
	Hash       [sha256.Size]byte
	CreateTime time.Time // UTC, microseconds
}

// ErrNotFound is a client that does not exist (any more).
var ErrNotFound = errors.New("no such client")

// ETag returns the opaque tag of this revision.
func (c Client) ETag() string { return resource.ETag(c.ID, c.CreateTime, c.Revision) }

// Cursor returns the position after this client in a list.
func (c Client) Cursor() resource.Cursor {
	return resource.Cursor{CreateTime: c.CreateTime, ID: strings.TrimPrefix(c.ID, idPrefix)}
}

// IDAt returns the id of the client that a cursor stands behind.
func IDAt(c resource.Cursor) string { return NewID(c.ID) }

// Authenticates reports whether a text is one of the client's secrets, in a time that does not
// depend on which. A public client has none.
func (c Client) Authenticates(secret string) bool {
	hash, found := sha256.Sum256([]byte(secret)), 0
	for _, s := range c.Secrets {
		found |= subtle.ConstantTimeCompare(s.Hash[:], hash[:])
	}
	return found == 1 && !c.Public
}

// AllowsScope reports whether the client may ask for a scope.
func (c Client) AllowsScope(scope string) bool { return slices.Contains(c.Scopes, scope) }

// PlatformAPI reports whether tokens of the client are good on the platform's own API.
func (c Client) PlatformAPI() bool { return c.AllowsScope(ScopePlatform) }

// AllowsRedirect reports whether the answer to an authorization request may be sent there: to
// exactly one of the registered URIs (RFC 9700, section 2.1). Of one with http, which is on
// loopback, the port may be another one, because a native application takes what is free (RFC 8252,
// section 7.3).
func (c Client) AllowsRedirect(uri string) bool { return among(c.RedirectURIs, uri) }

// AllowsPostLogout reports whether a browser may be sent there after a sign-out, by the rule of
// AllowsRedirect.
func (c Client) AllowsPostLogout(uri string) bool { return among(c.PostLogoutRedirectURIs, uri) }

// equal reports whether two are the same in everything that Changes may set.
func (c Client) equal(o Client) bool {
	return c.Name == o.Name && c.IDTokenAlgorithm == o.IDTokenAlgorithm && c.RequireVerifiedEmail == o.RequireVerifiedEmail &&
		slices.Equal(c.RedirectURIs, o.RedirectURIs) && slices.Equal(c.PostLogoutRedirectURIs, o.PostLogoutRedirectURIs) &&
		slices.Equal(c.WebOrigins, o.WebOrigins) && slices.Equal(c.Audiences, o.Audiences) && slices.Equal(c.Scopes, o.Scopes)
}
