package openid_test

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// published is a world at a door of its own, by https, with the keys of a program.
type published struct {
	*world
	issuer      string
	certificate []byte
	client      *http.Client // knows the door's certificate, follows no redirect
}

func publish(t *testing.T) *published {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p := &published{issuer: "https://127.0.0.1:" + port}
	p.world = newWorldAt(t, p.issuer, time.Now().UTC().Truncate(time.Second).Add(-time.Hour))
	sealer, err := signingkey.NewSealer(make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	policy := signingkey.Policy{Purpose: signingkey.ForID, MaxAge: 5 * time.Minute, Interval: time.Hour, Keep: session.MaxLifetime}
	keepers := map[string]*signingkey.Keeper{}
	for algorithm, store := range p.IDTokenKeys {
		policy.Algorithm = algorithm
		keepers[algorithm] = signingkey.NewKeeper(policy, store, sealer, rand.Reader, func() time.Time { return p.now })
	}
	ids := signingkey.NewIDTokens(keepers)
	if err := ids.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	contracts := meshtest.Contract(t)
	p.IDTokens, p.Keys, p.Contract = ids, ids, contracts
	public, err := url.Parse(p.issuer)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := web.Service(&authv1.OpenIDService_ServiceDesc, contracts, public, p.Handlers())
	if err != nil {
		t.Fatal(err)
	}
	s := grpctest.New(t, grpctest.Config{
		Program: "auth", Callers: grpctest.Consenting(t), Refusals: grpctest.NewTrail(),
		Registrations: []grpcserver.Registration{{Desc: desc, Impl: struct{}{}}},
	})
	server.Config.Handler = s.DoorHandler()
	server.StartTLS()
	t.Cleanup(server.Close)
	p.client, p.certificate = server.Client(), server.Certificate().Raw
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return p
}

// opens has the person's browser follow a link.
func (p *published) opens(t *testing.T, link string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.cookie != "" {
		r.AddCookie(&http.Cookie{Name: session.CookieName, Value: p.cookie})
	}
	response, err := p.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// visit has the person's browser follow a link, and returns where it is sent.
func (p *published) visit(t *testing.T, link string) *url.URL {
	t.Helper()
	return sentTo(t, p.opens(t, link))
}

// A library of strangers finds everything by the metadata, for each algorithm of ID tokens and each
// kind of client, without a special case.
func TestGoOIDC(t *testing.T) {
	p := publish(t)
	ctx := oidc.ClientContext(t.Context(), p.client)
	provider, err := oidc.NewProvider(ctx, p.issuer)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		client client.Client
		secret string
		style  oauth2.AuthStyle
	}{
		"public, EdDSA":    {p.world.client, "", oauth2.AuthStyleAutoDetect},
		"backend, ES256":   {p.backend, "secret", oauth2.AuthStyleInHeader},
		"backend, RS256":   {p.other, "secret", oauth2.AuthStyleInParams},
		"backend, detects": {p.other, "secret", oauth2.AuthStyleAutoDetect},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint := provider.Endpoint()
			endpoint.AuthStyle = c.style
			config := oauth2.Config{
				ClientID: c.client.ID, ClientSecret: c.secret, Endpoint: endpoint, RedirectURL: callback,
				Scopes: []string{oidc.ScopeOpenID, "email", oidc.ScopeOfflineAccess},
			}
			pkce := oauth2.GenerateVerifier()
			back := p.visit(t, config.AuthCodeURL("state", oidc.Nonce("n"), oauth2.S256ChallengeOption(pkce)))
			if back.Query().Get("state") != "state" || back.Query().Get("iss") != p.issuer {
				t.Fatalf("sent to %s", back)
			}
			tokens, err := config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(pkce))
			if err != nil {
				t.Fatal(err)
			}
			if id := p.verified(ctx, t, provider, c.client, tokens); id.Nonce != "n" {
				t.Errorf("the ID token says %+v", id)
			}
			info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
			if err != nil || info.Subject != p.userID || info.Email != "ada@example.com" || info.EmailVerified {
				t.Errorf("userinfo is %+v, %v", info, err)
			}
			expired := *tokens
			expired.Expiry = time.Now().Add(-time.Minute)
			next, err := config.TokenSource(ctx, &expired).Token()
			if err != nil || next.RefreshToken == tokens.RefreshToken || next.AccessToken == tokens.AccessToken {
				t.Errorf("refreshed to %v, %v", next, err)
			}
			if _, err := config.TokenSource(ctx, &expired).Token(); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
				t.Errorf("the used refresh token: %v", err)
			}
		})
	}
}

// verified has the library verify the ID token of a response, and returns what it says.
func (p *published) verified(ctx context.Context, t *testing.T, provider *oidc.Provider, c client.Client, tokens *oauth2.Token) *oidc.IDToken {
	t.Helper()
	compact, _ := tokens.Extra("id_token").(string)
	known := oidc.Config{ClientID: c.ID, Now: func() time.Time { return p.now }}
	id, err := provider.VerifierContext(ctx, &known).Verify(ctx, compact)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(tokens.AccessToken); err != nil || id.Subject != p.userID {
		t.Errorf("the ID token says %+v; %v", id, err)
	}
	return id
}
