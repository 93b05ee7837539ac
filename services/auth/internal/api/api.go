// Package api serves Auth's contract (gatehouse.auth.v1) over gRPC: one file per RPC, proto ⇄ domain and nothing else.
//
// Who may call what, validation, deadlines and errors are the business of the interceptors (internal/server/grpc).
package api

import (
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// tokenType is how access tokens are presented (RFC 6750).
const tokenType = "Bearer"

// Auth implements gatehouse.auth.v1.AuthService.
type Auth struct {
	authv1.UnimplementedAuthServiceServer
	logins   *login.Service
	sessions *session.Service
}

// NewAuth returns the service for people.
func NewAuth(logins *login.Service, sessions *session.Service) *Auth {
	return &Auth{logins: logins, sessions: sessions}
}

// Logins implements gatehouse.auth.v1.LoginService.
type Logins struct {
	authv1.UnimplementedLoginServiceServer
	logins *login.Service
}

// NewLogins returns the service for programs that manage logins.
func NewLogins(logins *login.Service) *Logins { return &Logins{logins: logins} }

// Verification implements gatehouse.auth.v1.VerificationService.
type Verification struct {
	authv1.UnimplementedVerificationServiceServer
	keys *signingkey.Keeper
	feed *session.Feed
}

// NewVerification returns the service for programs that verify access tokens.
func NewVerification(keys *signingkey.Keeper, feed *session.Feed) *Verification {
	return &Verification{keys: keys, feed: feed}
}
