package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// mediaType is the typ header of an access token (RFC 9068, section 2.1).
const mediaType = "at+jwt"

// Sign makes a compact access token. Claims that a verifier would refuse are refused here too.
func Sign(c Claims, key SigningKey) (string, error) {
	if err := c.complete(); err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	if !validKeyID(key.ID) {
		return "", fmt.Errorf("sign access token: key id %q is not 1 to %d characters of A-Z a-z 0-9 - _", key.ID, maxKeyID)
	}
	method, err := key.method()
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	claims := jwt.MapClaims{
		"iss": c.Issuer, "sub": c.Subject, "client_id": c.ClientID, "sid": c.SessionID, "org": c.OrganizationID, "jti": c.ID,
		"iat": c.IssuedAt.Unix(), "exp": c.ExpiresAt.Unix(),
	}
	if len(c.Audience) == 1 {
		claims["aud"] = c.Audience[0]
	} else {
		claims["aud"] = c.Audience
	}
	if !c.NotBefore.IsZero() {
		claims["nbf"] = c.NotBefore.Unix()
	}
	if !c.AuthTime.IsZero() {
		claims["auth_time"] = c.AuthTime.Unix()
	}
	if c.Scope != "" {
		claims["scope"] = c.Scope
	}
	t := jwt.NewWithClaims(method, claims)
	t.Header["typ"] = mediaType
	t.Header["kid"] = key.ID
	compact, err := t.SignedString(key.Signer)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	return compact, nil
}

// method returns golang-jwt's implementation after checking that the key fits its algorithm.
func (k SigningKey) method() (jwt.SigningMethod, error) {
	if k.Signer == nil {
		return nil, errors.New("no signer")
	}
	if _, ok := k.Signer.(ed25519.PrivateKey); ok && k.Algorithm == EdDSA {
		return jwt.SigningMethodEdDSA, nil
	}
	if p, ok := k.Signer.(*ecdsa.PrivateKey); ok && k.Algorithm == ES256 && p.Curve == elliptic.P256() {
		return jwt.SigningMethodES256, nil
	}
	return nil, fmt.Errorf("a %T does not sign %q", k.Signer, k.Algorithm)
}

// complete reports the first required claim that is missing (RFC 9068, section 2.2, and sid, org).
func (c Claims) complete() error {
	for _, m := range []struct{ name, value string }{
		{"iss", c.Issuer}, {"sub", c.Subject}, {"client_id", c.ClientID}, {"sid", c.SessionID}, {"org", c.OrganizationID}, {"jti", c.ID},
	} {
		if m.value == "" {
			return fmt.Errorf("claim %s is missing", m.name)
		}
	}
	if len(c.Audience) == 0 {
		return errors.New("claim aud is missing")
	}
	for _, a := range c.Audience {
		if a == "" {
			return errors.New("claim aud has an empty value")
		}
	}
	if c.Scope != "" && !validScope(c.Scope) {
		return errors.New("claim scope is not a list of scopes with single spaces between")
	}
	if c.IssuedAt.IsZero() || c.ExpiresAt.IsZero() {
		return errors.New("claims iat and exp are both required")
	}
	if !c.ExpiresAt.After(c.IssuedAt) {
		return errors.New("claim exp is not after iat")
	}
	return nil
}
