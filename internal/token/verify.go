package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Reasons that Verify answers with.
const (
	ReasonInvalid          = "INVALID_TOKEN"
	ReasonExpired          = "TOKEN_EXPIRED"
	ReasonRevoked          = "TOKEN_REVOKED"
	ReasonKeysUnavailable  = "KEYS_UNAVAILABLE"
	ReasonRevocationsStale = "REVOCATIONS_STALE"
)

// Verifier decides whether a compact token is an access token of this platform that is good now.
type Verifier struct {
	config      Config
	keys        KeySource
	revocations Revocations
	now         func() time.Time
}

// NewVerifier makes a verifier. None of its parts may be nil.
func NewVerifier(config Config, keys KeySource, revocations Revocations, now func() time.Time) *Verifier {
	return &Verifier{config: config, keys: keys, revocations: revocations, now: now}
}

// Verify returns the claims of a good token. Errors are of the closed set: Unauthenticated with ReasonInvalid, ReasonExpired or
// ReasonRevoked, whatever was wrong with the token; Unavailable with ReasonKeysUnavailable or ReasonRevocationsStale when it cannot
// be decided. The hidden cause says what was wrong and never holds the token.
func (v *Verifier) Verify(ctx context.Context, compact string) (Claims, error) {
	parts, err := split(compact)
	if err != nil {
		return Claims{}, invalid(err)
	}
	header, err := parseHeader(parts.header)
	if err != nil {
		return Claims{}, invalid(err)
	}
	key, err := v.keys.Key(ctx, header.kid)
	switch {
	case errors.Is(err, ErrUnknownKey):
		return Claims{}, invalid(fmt.Errorf("kid %s: %w", header.kid, err))
	case err != nil:
		return Claims{}, unavailable(ReasonKeysUnavailable, "access tokens cannot be verified now", err)
	}
	now := v.now()
	if err := verifySignature(parts, header, key, now); err != nil {
		return Claims{}, invalid(err)
	}
	// From here on the token was made by the issuer; what it says is still checked.
	claims, err := parseClaims(parts.payload)
	if err != nil {
		return Claims{}, invalid(err)
	}
	if err := v.accept(claims, now); err != nil {
		return Claims{}, err
	}
	revoked, err := v.revocations.Revoked(claims.SessionID)
	switch {
	case err != nil:
		return Claims{}, unavailable(ReasonRevocationsStale, "ended sessions are not known now", err)
	case revoked:
		return Claims{}, apierr.New(apierr.Unauthenticated, ReasonRevoked, "the session has ended: sign in again")
	}
	return claims, nil
}

// verifySignature checks the signature with the one algorithm that the key is bound to (R41). golang-jwt does the mathematics.
func verifySignature(p parts, h header, key Key, now time.Time) error {
	if h.alg != key.Algorithm {
		return errors.New("alg is not the key's algorithm")
	}
	if !key.NotAfter.IsZero() && !now.Before(key.NotAfter) {
		return errors.New("the key has ended")
	}
	var method jwt.SigningMethod
	switch key.Algorithm {
	case EdDSA:
		method = jwt.SigningMethodEdDSA
	case ES256:
		method = jwt.SigningMethodES256
	default:
		return fmt.Errorf("the key is bound to %q, which is not accepted", key.Algorithm)
	}
	if err := method.Verify(p.signed, p.signature, key.Public); err != nil {
		return fmt.Errorf("check signature: %w", err)
	}
	return nil
}

// accept checks issuer, audience and time (R43).
func (v *Verifier) accept(c Claims, now time.Time) error {
	switch {
	case c.Issuer != v.config.Issuer:
		return invalid(errors.New("iss is another issuer"))
	case !slices.Contains(c.Audience, v.config.Audience):
		return invalid(errors.New("aud does not name this platform"))
	case c.IssuedAt.After(now.Add(Leeway)):
		return invalid(errors.New("iat is in the future"))
	case !c.NotBefore.IsZero() && c.NotBefore.After(now.Add(Leeway)):
		return invalid(errors.New("nbf is in the future"))
	case !c.ExpiresAt.After(c.IssuedAt):
		return invalid(errors.New("exp is not after iat"))
	case !now.Before(c.ExpiresAt.Add(Leeway)):
		return apierr.New(apierr.Unauthenticated, ReasonExpired, "the access token has expired")
	}
	return nil
}

func invalid(cause error) error {
	return apierr.New(apierr.Unauthenticated, ReasonInvalid, "the access token is not valid").Because(cause)
}

func unavailable(reason, message string, cause error) error {
	return apierr.New(apierr.Unavailable, reason, message).WithRetryAfter(time.Second).Because(cause)
}
