package clients_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
	"github.com/gatehouse/gatehouse/internal/testkit/tlstest"
	"github.com/gatehouse/gatehouse/internal/testkit/visitor"
)

const callback, bye = "https://app.example/callback", "https://app.example/bye"

// Libraries that know nothing but the standards, pinned by lock files, complete all that they have,
// without a special case: through the gateway and the mesh, by https under the test's own
// authority, as a public and as a confidential client.
func TestStrangersLibraries(t *testing.T) {
	need(t, "node", node)
	need(t, "npm", node)
	need(t, "python3", "Python 3.9 or newer with venv")
	programs := copied(t, "libraries")
	programs.run(t, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	programs.run(t, "python3", "-m", "venv", "venv")
	programs.run(t, "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", "requirements.txt")
	b := behindABalancer(t)
	protected := b.protected(t)
	says := func(name, file string) func(*testing.T, stranger) []string {
		return func(t *testing.T, s stranger) []string {
			p := program{dir: programs.dir, env: slices.Concat(programs.env, b.trusted, s.environ(b.issuer))}
			return strings.Fields(string(p.run(t, name, file)))
		}
	}
	all := []string{"discovery", "code", "userinfo", "refresh", "introspection", "revocation", "logout"}
	for _, library := range []struct {
		name string
		has  []string
		does func(*testing.T, stranger) []string
	}{
		{"openid-client 6", all, says("node", "openid-client-6.mjs")},
		{"openid-client 5", all, says("node", "openid-client-5.mjs")},
		{"oauth4webapi", all, says("node", "oauth4webapi.mjs")},
		{"authlib", all, says("venv/bin/python", "authlib_client.py")},
		{"go-oidc and oauth2", all[:4], b.goOIDC},
	} {
		t.Run(library.name+", confidential", func(t *testing.T) {
			if done := library.does(t, b.stranger(t, administrator())); !slices.Equal(done, library.has) {
				t.Errorf("completed %v, want %v", done, library.has)
			}
		})
		t.Run(library.name+", public, with a second factor", func(t *testing.T) { // which cannot introspect
			want := slices.DeleteFunc(slices.Clone(library.has), func(step string) bool { return step == "introspection" })
			if done := library.does(t, b.stranger(t, protected, "--public")); !slices.Equal(done, want) {
				t.Errorf("completed %v, want %v", done, want)
			}
		})
	}
}

// balancer is https in front of a platform of its own, whose issuer it is.
type balancer struct {
	p       *platform.Platform
	issuer  string
	client  *http.Client // trusts the certificate
	trusted []string     // environment of programs that do
}

// behindABalancer starts one for as long as the test runs.
func behindABalancer(t *testing.T) *balancer {
	t.Helper()
	front := httptest.NewUnstartedServer(nil)
	b := &balancer{issuer: "https://" + front.Listener.Addr().String()}
	b.p = another(t, "GATEHOUSE_TOKEN_ISSUER="+b.issuer, "GATEHOUSE_GATEWAY_TRUSTED_PROXIES=127.0.0.1")
	gateway, err := neturl.Parse(b.p.URL())
	check.NoError(t, err)
	front.Config.Handler = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(gateway)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}
	ca := tlstest.New(t)
	front.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Server(t)}, MinVersion: tls.VersionTLS12}
	front.StartTLS()
	t.Cleanup(front.Close)
	b.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Roots, MinVersion: tls.VersionTLS12}}}
	authority := filepath.Join(t.TempDir(), "ca.pem")
	check.NoError(t, os.WriteFile(authority, ca.PEM, 0o600))
	b.trusted = []string{"NODE_EXTRA_CA_CERTS=" + authority, "REQUESTS_CA_BUNDLE=" + authority}
	return b
}

// stranger is a client, and the browser of somebody who is signed in.
type stranger struct {
	registered
	person  *person
	browser *visitor.Visitor
	cookie  string
}

// stranger registers a client, and has a person sign in with a new browser.
func (b *balancer) stranger(t *testing.T, who *person, flags ...string) stranger {
	t.Helper()
	s := stranger{person: who, registered: register(t, b.p, append([]string{t.Name(), "--redirect", callback, "--post-logout", bye}, flags...)...), browser: visitor.New(t, b.client.Transport)}
	page := s.browser.SignIn(s.browser.Open(b.issuer+"/sign-in"), who.email, password)
	if who.codes != nil {
		page = s.browser.Code(page, who.next(t))
	}
	s.browser.Says(page, http.StatusOK, who.email)
	at, err := neturl.Parse(b.issuer)
	check.NoError(t, err)
	for _, c := range s.browser.Cookies(at) {
		s.cookie += c.Name + "=" + c.Value + "; "
	}
	return s
}

// environ tells a program who it is.
func (s stranger) environ(issuer string) []string {
	return []string{
		"ISSUER=" + issuer, "CLIENT_ID=" + s.Client.ID, "CLIENT_SECRET=" + s.Secret, "REDIRECT_URI=" + callback, "POST_LOGOUT_URI=" + bye, "COOKIE=" + s.cookie,
	}
}

// goOIDC is the program of Go's libraries, go-oidc for OpenID and x/oauth2 for OAuth, which have
// neither introspection, revocation nor logout.
func (b *balancer) goOIDC(t *testing.T, s stranger) []string {
	ctx := oidc.ClientContext(t.Context(), b.client)
	provider, err := oidc.NewProvider(ctx, b.issuer)
	check.NoError(t, err)

	config := oauth2.Config{
		ClientID: s.Client.ID, ClientSecret: s.Secret, Endpoint: provider.Endpoint(), RedirectURL: callback,
		Scopes: []string{oidc.ScopeOpenID, "email", oidc.ScopeOfflineAccess},
	}
	verifier := oauth2.GenerateVerifier()
	back := s.browser.Sent(config.AuthCodeURL("state", oidc.Nonce("nonce"), oauth2.S256ChallengeOption(verifier))).To
	tokens, err := config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
	check.NoError(t, err)
	compact, _ := tokens.Extra("id_token").(string)
	id, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: s.Client.ID}).Verify(ctx, compact)
	check.NoError(t, err)
	check.NoError(t, id.VerifyAccessToken(tokens.AccessToken))
	if back.Query().Get("state") != "state" || id.Nonce != "nonce" {
		t.Errorf("back at %s with the ID token %+v", back, id)
	}

	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	check.NoError(t, err)
	if info.Subject != id.Subject || info.Email != s.person.email {
		t.Errorf("userinfo is %+v", info)
	}
	b.refusesOnTheAPI(t, tokens.AccessToken, compact)

	tokens.Expiry = time.Now().Add(-time.Minute)
	next, err := config.TokenSource(ctx, tokens).Token()
	check.NoError(t, err)
	if next.RefreshToken == tokens.RefreshToken || next.AccessToken == tokens.AccessToken {
		t.Error("a token stays the same")
	}
	if _, err := config.TokenSource(ctx, tokens).Token(); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("the used refresh token: %v", err)
	}
	return []string{"discovery", "code", "userinfo", "refresh"}
}

// What a client without the platform's scope gets is worth nothing on the platform's own API.
func (b *balancer) refusesOnTheAPI(t *testing.T, tokens ...string) {
	t.Helper()
	for _, compact := range tokens {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.issuer+"/api/v1/me", nil)
		check.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+compact)
		response, err := b.client.Do(r)
		check.NoError(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		check.NoError(t, err)
		if response.StatusCode != http.StatusUnauthorized || !strings.Contains(string(text), "INVALID_TOKEN") {
			t.Errorf("the API answers %d %s", response.StatusCode, text)
		}
	}
}
