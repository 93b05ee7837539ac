package cluster_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/visitor"
)

// application is an OAuth client, as somebody else writes one who knows its issuer, Go's libraries and
// the authority of the cluster. It waits for its answers on this machine.
type application struct {
	context.Context // of its libraries

	door     *http.Client
	provider *oidc.Provider
	config   oauth2.Config
	further  struct { // endpoints that the libraries do not know
		Introspection string `json:"introspection_endpoint"`
		Revocation    string `json:"revocation_endpoint"`
		EndSession    string `json:"end_session_endpoint"`
	}
}

// Where the application waits, but for the port.
const (
	callback = "http://127.0.0.1/callback"
	bye      = "http://127.0.0.1/bye"
)

func (c *cluster) application(t *testing.T, r registered, scopes ...string) *application {
	t.Helper()
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "You are back.") }))
	t.Cleanup(here.Close)
	a := &application{door: c.door(t)}
	a.Context = oidc.ClientContext(t.Context(), a.door)
	var err error
	a.provider, err = oidc.NewProvider(a, c.value("GATEHOUSE_URL"))
	check.NoError(t, err)
	check.NoError(t, a.provider.Claims(&a.further))
	a.config = oauth2.Config{
		ClientID: r.Client.ID, ClientSecret: r.Secret, Endpoint: a.provider.Endpoint(), RedirectURL: here.URL + "/callback", Scopes: append(scopes, oidc.ScopeOpenID),
	}
	a.config.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if r.Secret == "" {
		a.config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return a
}

// grant is what an application keeps of a request for a person's consent, and the code that came.
type grant struct {
	link, state, verifier, code string

	at time.Time // when the code came
}

func (a *application) request() grant {
	g := grant{state: rand.Text(), verifier: oauth2.GenerateVerifier()}
	g.link = a.config.AuthCodeURL(g.state, oidc.Nonce(g.state), oauth2.S256ChallengeOption(g.verifier))
	return g
}

// answered takes the code from where a visitor has come back to.
func (a *application) answered(t *testing.T, g grant, back visitor.Page) grant {
	t.Helper()
	query := back.At.Query()
	if back.Status != http.StatusOK || !strings.HasPrefix(back.At.String(), a.config.RedirectURL+"?") || query.Get("state") != g.state ||
		!strings.HasPrefix(a.config.Endpoint.TokenURL, query.Get("iss")+"/") || query.Get("code") == "" {
		t.Fatalf("%d at %s\n%s", back.Status, back.At, back.Text)
	}
	g.code, g.at = query.Get("code"), time.Now()
	return g
}

// signIn has a visitor sign in.
func (a *application) signIn(t *testing.T, v *visitor.Visitor, who *person) grant {
	t.Helper()
	g := a.request()
	return a.answered(t, g, v.SignIn(v.Open(g.link), who.email, password))
}

// redeem exchanges a code, and believes neither the ID token nor UserInfo.
func (a *application) redeem(t *testing.T, g grant, who *person) *oauth2.Token {
	t.Helper()
	tokens, err := a.config.Exchange(a, g.code, oauth2.VerifierOption(g.verifier))
	if err != nil {
		t.Fatalf("a code of %s: %v", g.at.Format(time.TimeOnly), err)
	}
	id, err := a.provider.VerifierContext(a, &oidc.Config{ClientID: a.config.ClientID}).Verify(a, idToken(tokens))
	check.NoError(t, err)
	info, err := a.provider.UserInfo(a, oauth2.StaticTokenSource(tokens))
	check.NoError(t, err)
	if id.Subject != who.id || id.Nonce != g.state || info.Subject != who.id {
		t.Fatalf("the ID token says %s (%s), UserInfo %s; want %s", id.Subject, id.Nonce, info.Subject, who.id)
	}
	return tokens
}

func idToken(tokens *oauth2.Token) string {
	compact, _ := tokens.Extra("id_token").(string)
	return compact
}

// refresh uses a refresh token.
func (a *application) refresh(tokens *oauth2.Token) (*oauth2.Token, error) {
	return a.config.TokenSource(a, &oauth2.Token{RefreshToken: tokens.RefreshToken}).Token()
}

// post asks an endpoint about a token, as the client.
func (a *application) post(t *testing.T, endpoint, token string) (answer struct{ Active bool }) {
	t.Helper()
	r, err := http.NewRequestWithContext(a, http.MethodPost, endpoint, strings.NewReader(url.Values{"token": {token}}.Encode()))
	check.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(a.config.ClientID, a.config.ClientSecret)
	response, err := a.door.Do(r)
	check.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || len(raw) > 0 && json.Unmarshal(raw, &answer) != nil {
		t.Fatalf("%s answers %d %s, %v", endpoint, response.StatusCode, raw, err)
	}
	return answer
}

// signOut is where to send a browser whose person signs out.
func (a *application) signOut(tokens *oauth2.Token) string {
	to := strings.Replace(a.config.RedirectURL, "/callback", "/bye", 1)
	return a.further.EndSession + "?" + url.Values{"id_token_hint": {idToken(tokens)}, "post_logout_redirect_uri": {to}, "state": {"gone"}}.Encode()
}
