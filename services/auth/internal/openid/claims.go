package openid

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Person is what is told to clients about somebody who is signed in.
type Person struct {
	UserID         string
	OrganizationID string
	Email          string
	UpdateTime     time.Time
	EmailVerified  bool
}

// claims are those of ID tokens and of UserInfo.
type claims map[string]any

// claimsOf are what the granted scopes allow to tell about a person, and nothing else.
func (p *Provider) claimsOf(ctx context.Context, about Person, scope []string) (claims, error) {
	told := claims{"sub": about.UserID}
	if slices.Contains(scope, client.ScopeProfile) {
		told["org"] = about.OrganizationID
		told["updated_at"] = about.UpdateTime.Unix()
	}
	if slices.Contains(scope, client.ScopeEmail) {
		told["email"] = about.Email
		told["email_verified"] = about.EmailVerified
	}
	if slices.Contains(scope, client.ScopeRoles) {
		roles, err := p.roles(ctx, about)
		if err != nil {
			return nil, err
		}
		told["roles"] = roles
	}
	return told, nil
}

// idToken signs what a client is told about a person (OpenID Connect Core, section 2), together
// with the access token that it is told with.
func (p *Provider) idToken(c client.Client, told claims, v code, with session.Tokens) (string, error) {
	now := p.Now()
	told["iss"], told["aud"] = p.Issuer, c.ID
	told["iat"], told["exp"] = now.Unix(), now.Add(with.ExpiresIn).Unix()
	told["auth_time"], told["amr"] = v.AuthTime, v.AMR
	told["at_hash"] = accessTokenHash(c.IDTokenAlgorithm, with.Access)
	if v.Nonce != "" {
		told["nonce"] = v.Nonce
	}
	return p.IDTokens.SignIDToken(c.IDTokenAlgorithm, told)
}

// accessTokenHash is the left half of the hash that the algorithm uses (OpenID Connect Core,
// section 3.1.3.6); Ed25519 uses SHA-512 (RFC 8032, section 5.1).
func accessTokenHash(algorithm, access string) string {
	if algorithm == client.EdDSA {
		hash := sha512.Sum512([]byte(access))
		return base64.RawURLEncoding.EncodeToString(hash[:len(hash)/2])
	}
	hash := sha256.Sum256([]byte(access))
	return base64.RawURLEncoding.EncodeToString(hash[:len(hash)/2])
}
