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

// Verifier decides whether a compact token is an access token of this platform that is good now.
type Verifier struct {
	config      Config
	keys        KeySource
	revocations Revocations
	now         func() time.Time
	proven      memory
}

// NewVerifier makes a verifier. None of its parts may be nil.
func NewVerifier(config Config, keys KeySource, revocations Revocations, now func() time.Time) *Verifier {
	return &Verifier{config: config, keys: keys, revocations: revocations, now: now}
}

// Verify returns the claims of a token that is good on the platform's own API. Errors are of the
// closed set: INVALID_TOKEN, TOKEN_EXPIRED or TOKEN_REVOKED, whatever was wrong with the token;
// KEYS_UNAVAILABLE or REVOCATIONS_STALE when it cannot be decided. The hidden cause says what was
// wrong and never holds the token.
func (v *Verifier) Verify(ctx context.Context, compact string) (Claims, error) {
	return v.verify(ctx, compact, v.forPlatform)
}

// VerifyIssued returns the claims of a good token of this issuer, whomever it is for: what it may
// be used for is the caller's to decide. It is for the endpoints of the issuer itself (userinfo,
// introspection); an API calls Verify. Errors are those of Verify.
func (v *Verifier) VerifyIssued(ctx context.Context, compact string) (Claims, error) {
	return v.verify(ctx, compact, func(Claims) error { return nil })
}

func (v *Verifier) verify(ctx context.Context, compact string, permitted func(Claims) error) (Claims, error) {
	if len(compact) > maxToken {
		return Claims{}, invalid(fmt.Errorf("longer than %d bytes", maxToken))
	}
	now, id := v.now(), fingerprintOf(compact)
	known, ok := v.proven.recall(id)
	if ok {
		key, err := v.keys.Key(ctx, known.key.ID)
		ok = err == nil && known.holds(key)
	}
	if !ok {
		var err error
		if known, err = v.prove(ctx, compact); err != nil {
			return Claims{}, err
		}
		v.proven.remember(id, known)
	}
	if err := v.accept(known.claims, now); err != nil {
		return Claims{}, err
	}
	if err := permitted(known.claims); err != nil {
		return Claims{}, err
	}
	revoked, err := v.revocations.Revoked(known.claims.SessionID)
	switch {
	case err != nil:
		return Claims{}, apierr.RevocationsStale().WithRetryAfter(time.Second).Because(err)
	case revoked:
		return Claims{}, apierr.TokenRevoked()
	}
	return known.copied(), nil
}

// prove checks what the bytes of a token say for ever: their form, their signature and the form of their claims.
func (v *Verifier) prove(ctx context.Context, compact string) (proof, error) {
	parts, err := split(compact)
	if err != nil {
		return proof{}, invalid(err)
	}
	header, err := parseHeader(parts.header)
	if err != nil {
		return proof{}, invalid(err)
	}
	key, err := v.keys.Key(ctx, header.kid)
	switch {
	case errors.Is(err, ErrUnknownKey):
		return proof{}, invalid(fmt.Errorf("kid %s: %w", header.kid, err))
	case err != nil:
		return proof{}, apierr.KeysUnavailable().WithRetryAfter(time.Second).Because(err)
	}
	if err := verifySignature(parts, header, key); err != nil {
		return proof{}, invalid(err)
	}
	// From here on the token was made by the issuer; what it says is still checked.
	claims, err := parseClaims(parts.payload)
	if err != nil {
		return proof{}, invalid(err)
	}
	return proof{key: key, claims: claims}, nil
}

// verifySignature checks the signature with the one algorithm that the key is bound to (R41). golang-jwt does the mathematics.
func verifySignature(p parts, h header, key Key) error {
	if h.alg != key.Algorithm {
		return errors.New("alg is not the key's algorithm")
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

// forPlatform is the one rule of what is good on the platform's own API: a token that is meant for
// it and has PlatformScope. Any other carries no right there, whoever its user is. A token without
// a scope is good when the platform's own sign-in made it: those of 0.1.0 had none.
func (v *Verifier) forPlatform(c Claims) error {
	switch {
	case !slices.Contains(c.Audience, v.config.Audience):
		return invalid(errors.New("aud does not name this platform"))
	case c.Scope == "" && c.ClientID == PlatformClient, hasScope(c.Scope, PlatformScope):
		return nil
	}
	return invalid(errors.New("scope does not admit to this platform's API"))
}

// accept checks issuer and time (R43).
func (v *Verifier) accept(c Claims, now time.Time) error {
	switch {
	case c.Issuer != v.config.Issuer && c.Issuer != v.config.Other: // neither is "": parseClaims
		return invalid(errors.New("iss is another issuer"))
	case c.IssuedAt.After(now.Add(Leeway)):
		return invalid(errors.New("iat is in the future"))
	case !c.NotBefore.IsZero() && c.NotBefore.After(now.Add(Leeway)):
		return invalid(errors.New("nbf is in the future"))
	case !c.ExpiresAt.After(c.IssuedAt):
		return invalid(errors.New("exp is not after iat"))
	case !now.Before(c.ExpiresAt.Add(Leeway)):
		return apierr.TokenExpired()
	}
	return nil
}

func invalid(cause error) error {
	return apierr.InvalidToken().Because(cause)
}
