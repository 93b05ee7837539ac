// Package token signs and verifies the access tokens of the platform: RFC 9068 JWTs ("at+jwt") with EdDSA or ES256.
//
// It owns the rules R41–R48 of the security requirements: every program verifies every token again with this package. The
// cryptography is golang-jwt's; the form, header and claim checks that a general library leaves open are here. It imports no
// transport and no generated code: the keys arrive through Fetch, the ended sessions through RevocationList.Apply.
package token

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Algorithms that a key of access tokens may be bound to (RFC 7518, RFC 8037). RS256 is left out on
// purpose although RFC 9068 names it: the platform is the only issuer, and each algorithm more is
// one more way to be confused.
const (
	EdDSA = "EdDSA"
	ES256 = "ES256"
)

// Leeway is how far the clocks of two programs may differ when exp, iat and nbf are compared. Who publishes revocations keeps each
// one until the last access token of the session has expired by this much.
const Leeway = 5 * time.Second

// MaxTTL is the longest lifetime of an access token that Auth can be configured to. What must outlive tokens is measured by it, not by
// the lifetime of today: tokens from before a restart, or of another instance, may be longer.
const MaxTTL = 10 * time.Minute

// PlatformScope is the scope whose tokens are good on the platform's own API: they carry the
// person's full rights there. A client gets it only when an administrator granted it.
const PlatformScope = "gatehouse"

// PlatformClient is the client_id of the platform's own sign-in. No other client has it.
const PlatformClient = "gatehouse"

// ErrUnknownKey is a KeySource's answer when no key has the kid.
var ErrUnknownKey = errors.New("no key has this id")

// Config says whose tokens are accepted, and for whom.
type Config struct {
	Issuer string `name:"token-issuer" env:"GATEHOUSE_TOKEN_ISSUER" default:"https://gatehouse.local" help:"Issuer (iss) of tokens, the URL at which clients reach the platform; gatehouse up says where the gateway is, on localhost, unless you set it."`
	// Other is a second issuer of the platform's own keys.
	Other    string `name:"token-other-issuer" env:"GATEHOUSE_TOKEN_OTHER_ISSUER" help:"Issuer whose tokens are taken too while the platform's own changes: the one to come, then the one of before. Empty otherwise."`
	Audience string `name:"token-audience" env:"GATEHOUSE_TOKEN_AUDIENCE" default:"gatehouse" help:"Audience (aud) that access tokens must name."`
}

// Validate reports a value that no token could satisfy.
func (c Config) Validate() error {
	if !isIssuer(c.Issuer) {
		return fmt.Errorf("GATEHOUSE_TOKEN_ISSUER is %q: give an absolute URL without query and fragment, such as https://id.example.com", c.Issuer)
	}
	if c.Other != "" && !isIssuer(c.Other) {
		return fmt.Errorf("GATEHOUSE_TOKEN_OTHER_ISSUER is %q: give an absolute URL without query and fragment, or nothing", c.Other)
	}
	if c.Audience == "" {
		return errors.New("GATEHOUSE_TOKEN_AUDIENCE is empty: give the name that access tokens carry in aud, such as gatehouse")
	}
	return nil
}

// isIssuer reports whether a text can name an issuer (RFC 8414, section 2).
func isIssuer(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && u.Host != "" && u.User == nil && !strings.ContainsAny(text, "?#")
}

// FreshFor is how old an authentication may be where a contract asks for a fresh sign-in (R17).
const FreshFor = 5 * time.Minute

// Claims are what an access token says. All but NotBefore, AuthTime and Scope are required in a
// token.
type Claims struct {
	Issuer         string    // iss
	Subject        string    // sub: the user's id
	ClientID       string    // client_id
	SessionID      string    // sid: what a revocation names
	OrganizationID string    // org: the user's tenant
	ID             string    // jti
	Audience       []string  // aud
	Scope          string    // scope: what was granted, with single spaces between (RFC 9068, section 2.2.3); "" when absent
	IssuedAt       time.Time // iat, whole seconds
	NotBefore      time.Time // nbf, whole seconds; zero when absent
	ExpiresAt      time.Time // exp, whole seconds
	AuthTime       time.Time // auth_time, whole seconds: when the person was last proven (RFC 9068, section 2.2.1); zero when absent
}

// Fresh reports whether the person was proven at most FreshFor ago. Nobody knows it of a token that
// does not say when, so that is not fresh.
func (c Claims) Fresh(now time.Time) bool {
	return !c.AuthTime.IsZero() && now.Sub(c.AuthTime) <= FreshFor && !c.AuthTime.After(now.Add(Leeway))
}

// Key is a public key with the one algorithm it verifies (R41).
type Key struct {
	ID        string
	Algorithm string           // EdDSA or ES256; RS256 of a key of ID tokens
	Public    crypto.PublicKey // ed25519.PublicKey or *ecdsa.PublicKey; *rsa.PublicKey
}

// KeySource finds the key of a kid.
type KeySource interface {
	// Key returns the key, ErrUnknownKey when there is none, or another error when the keys are not known at all.
	Key(ctx context.Context, kid string) (Key, error)
}

// Revocations knows which sessions ended before their tokens expired.
type Revocations interface {
	// Revoked reports whether the session has ended. An error means that the answer is not known: the token is then not accepted.
	Revoked(sessionID string) (bool, error)
}

// SigningKey signs access tokens, or ID tokens.
type SigningKey struct {
	ID        string
	Algorithm string        // EdDSA or ES256; RS256 of ID tokens
	Signer    crypto.Signer // ed25519.PrivateKey or *ecdsa.PrivateKey; *rsa.PrivateKey
}

// Public returns the key that verifies what k signs.
func (k SigningKey) Public() Key {
	return Key{ID: k.ID, Algorithm: k.Algorithm, Public: k.Signer.Public()}
}

// JWK is a public key in the form of RFC 7517, with the member names of its JSON.
type JWK struct {
	KTY    string   `json:"kty"`
	Use    string   `json:"use,omitempty"`
	KeyOps []string `json:"key_ops,omitempty"`
	Alg    string   `json:"alg"`
	KID    string   `json:"kid"`
	CRV    string   `json:"crv,omitempty"` // of OKP and EC, with X, and Y of EC
	X      string   `json:"x,omitempty"`
	Y      string   `json:"y,omitempty"`
	N      string   `json:"n,omitempty"` // of RSA, with E
	E      string   `json:"e,omitempty"`
}

// KeySet is a published set of keys.
type KeySet struct {
	Keys   []JWK
	MaxAge time.Duration // how long the set may be used without asking again
}

// Fetch gets the current key set from the issuer.
type Fetch func(ctx context.Context) (KeySet, error)

// Revocation is one ended session.
type Revocation struct {
	SessionID string
	ExpiresAt time.Time // when its last access token has expired
}
