package gatewaytest

import (
	"context"
	"net/http"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// heartbeat is how often the revocation feed says that it is current.
const heartbeat = 250 * time.Millisecond

// Auth is Auth's public service, its verification service and its directory of clients over maps.
type Auth struct {
	authv1.UnimplementedAuthServiceServer
	authv1.UnimplementedVerificationServiceServer
	authv1.UnimplementedClientDirectoryServiceServer

	tokens *grpctest.Tokens
	users  *Users

	mu        sync.Mutex
	passwords map[string]string // by email
	ids       map[string]string // by email
	ended     []*authv1.Revocation
	silent    bool
	mails     bool
	exchange  http.HandlerFunc // of web exchanges; nil answers nothing
	origins   []*authv1.WebOrigin
}

// NewAuth makes an empty one that signs with the issuer's key.
func NewAuth(tokens *grpctest.Tokens) *Auth {
	return &Auth{tokens: tokens, passwords: map[string]string{}, ids: map[string]string{}}
}

// Mail configures mail: from then on it tells by mail how sign-ups go on.
func (a *Auth) Mail() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mails = true
}

// SignUp creates a login and its user.
func (a *Auth) SignUp(_ context.Context, r *authv1.SignUpRequest) (*authv1.SignUpResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mails {
		return &authv1.SignUpResponse{}, nil
	}
	email := address.Fold(r.GetEmail())
	if _, taken := a.passwords[email]; taken {
		return nil, apierr.New(apierr.AlreadyExists, "EMAIL_TAKEN", "this address has a login")
	}
	a.passwords[email] = r.GetPassword()
	a.ids[email] = a.users.Add(r.GetEmail(), r.GetDisplayName())
	return &authv1.SignUpResponse{User: a.users.Get(a.ids[email])}, nil
}

// SignIn starts a session.
func (a *Auth) SignIn(_ context.Context, r *authv1.SignInRequest) (*authv1.SignInResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	email := address.Fold(r.GetEmail())
	if password, ok := a.passwords[email]; !ok || password != r.GetPassword() {
		return nil, apierr.New(apierr.Unauthenticated, "INVALID_CREDENTIALS", "address or password is wrong")
	}
	return &authv1.SignInResponse{
		AccessToken: a.tokens.Sign(a.tokens.Claims(a.ids[email])), RefreshToken: "refresh", TokenType: "Bearer", ExpiresIn: 600,
	}, nil
}

// SignOut ends the session of the bearer.
func (a *Auth) SignOut(ctx context.Context, _ *authv1.SignOutRequest) (*authv1.SignOutResponse, error) {
	who, ok := request.CallerFrom(ctx)
	if !ok || who.Subject == nil {
		return nil, apierr.New(apierr.Internal, "INTERNAL", "no subject")
	}
	a.Revoke(who.Subject.SessionID)
	return &authv1.SignOutResponse{}, nil
}

// Revoke ends a session.
func (a *Auth) Revoke(session string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = append(a.ended, &authv1.Revocation{SessionId: session, ExpireTime: timestamppb.New(time.Now().Add(time.Hour))})
}

// Silence stops the revocation feed from saying anything, without ending it.
func (a *Auth) Silence(silent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.silent = silent
}

// SetWebOrigins replaces the web origins of all clients.
func (a *Auth) SetWebOrigins(origins ...*authv1.WebOrigin) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.origins = origins
}

// ListWebOrigins returns the web origins of all clients.
func (a *Auth) ListWebOrigins(context.Context, *authv1.ListWebOriginsRequest) (*authv1.ListWebOriginsResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return &authv1.ListWebOriginsResponse{Origins: a.origins}, nil
}

// GetKeySet returns the issuer's key.
func (a *Auth) GetKeySet(context.Context, *authv1.GetKeySetRequest) (*authv1.GetKeySetResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer := &authv1.GetKeySetResponse{MaxAge: durationpb.New(5 * time.Minute)}
	for _, key := range []token.Key{a.tokens.Key.Public()} {
		jwk, err := token.NewJWK(key)
		if err != nil {
			return nil, err
		}
		answer.Keys = append(answer.Keys, &authv1.JsonWebKey{
			Kty: jwk.KTY, Use: jwk.Use, Alg: jwk.Alg, Kid: jwk.KID, Crv: jwk.CRV, X: jwk.X, Y: jwk.Y,
		})
	}
	return answer, nil
}

// WatchRevocations sends what ended, then what ends.
func (a *Auth) WatchRevocations(_ *authv1.WatchRevocationsRequest, stream authv1.VerificationService_WatchRevocationsServer) error {
	sent := 0
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		a.mu.Lock()
		fresh, silent := a.ended[sent:], a.silent
		if !silent {
			sent = len(a.ended)
		}
		a.mu.Unlock()
		if !silent {
			if err := stream.Send(&authv1.WatchRevocationsResponse{Revocations: fresh, Complete: true}); err != nil {
				return err
			}
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-tick.C:
		}
	}
}
