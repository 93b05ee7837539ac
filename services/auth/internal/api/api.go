// Package api serves Auth's contract (gatehouse.auth.v1) over gRPC: one file per RPC, proto ⇄ domain and nothing else.
//
// Who may call what, validation, deadlines and errors are the business of the interceptors (internal/server/grpc).
package api

import (
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// tokenType is how access tokens are presented (RFC 6750).
const tokenType = "Bearer"

// AuthService implements gatehouse.auth.v1.AuthService.
type AuthService struct {
	authv1.UnimplementedAuthServiceServer
	logins   *login.Service
	factors  *factor.Service
	sessions *session.Service
}

// NewAuthService returns the service for people.
func NewAuthService(logins *login.Service, factors *factor.Service, sessions *session.Service) *AuthService {
	return &AuthService{logins: logins, factors: factors, sessions: sessions}
}

// LoginService implements gatehouse.auth.v1.LoginService.
type LoginService struct {
	authv1.UnimplementedLoginServiceServer
	logins *login.Service
}

// NewLoginService returns the service for programs that manage logins.
func NewLoginService(logins *login.Service) *LoginService { return &LoginService{logins: logins} }

// VerificationService implements gatehouse.auth.v1.VerificationService.
type VerificationService struct {
	authv1.UnimplementedVerificationServiceServer
	keys *signingkey.Keeper
	feed *session.Feed
}

// NewVerificationService returns the service for programs that verify access tokens.
func NewVerificationService(keys *signingkey.Keeper, feed *session.Feed) *VerificationService {
	return &VerificationService{keys: keys, feed: feed}
}
