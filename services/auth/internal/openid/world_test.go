package openid_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
	"github.com/gatehouse/gatehouse/services/auth/internal/pages"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

const (
	callback = "https://app.example/callback"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	s256     = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

	webID     = "client-00000000-0000-4000-8000-000000000001"
	backendID = "client-00000000-0000-4000-8000-000000000002"
	otherID   = "client-00000000-0000-4000-8000-000000000003"
	unknownID = "client-00000000-0000-4000-8000-000000000009"
)

// world is a provider over a database, with three clients and one person who is signed in.
type world struct {
	*openid.Provider
	*postgrestest.Database
	sessions *session.Service
	browsers *session.Browsers
	verifier *token.Verifier
	ended    *token.RevocationList
	feed     *session.Feed
	pages    *pages.Pages
	client   client.Client // public
	backend  client.Client // confidential, with the secret "secret"
	other    client.Client // another backend
	userID   string
	org      string
	cookie   string
	now      time.Time
	roles    *grantedRoles
	log      bytes.Buffer
}

type idTokens struct{}

func (idTokens) SignIDToken(_ string, claims any) (string, error) {
	b, err := json.Marshal(claims)
	return string(b), err
}

func (idTokens) VerifyIDToken(compact string) ([]byte, error) {
	if !strings.HasPrefix(compact, "{") {
		return nil, errors.New("not signed")
	}
	return []byte(compact), nil
}

// grantedRoles answers for Authz.
type grantedRoles struct {
	held []access.Question
	err  error
}

func (g *grantedRoles) Allowed(_ context.Context, _ string, asked []access.Question, _ string) ([]bool, error) {
	var answers []bool
	for _, q := range asked {
		answers = append(answers, slices.Contains(g.held, q))
	}
	return answers, g.err
}

// signer signs with one key; it is also the verifiers' KeySource.
type signer struct{ key token.SigningKey }

func (s signer) Sign(c token.Claims) (string, error) { return token.Sign(c, s.key) }

func (s signer) Key(context.Context, string) (token.Key, error) { return s.key.Public(), nil }

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldAt(t, issuer, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
}

// newWorldAt is a world whose provider has an address, and whose clock begins to stand still at
// now.
func newWorldAt(t *testing.T, issuer string, now time.Time) *world {
	t.Helper()
	w := &world{Database: postgrestest.Open(t), userID: uuid.NewString(), org: uuid.NewString(), roles: &grantedRoles{}, now: now}
	clock := func() time.Time { return w.now }
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := signer{token.SigningKey{ID: "k1", Algorithm: token.EdDSA, Signer: private}}
	log := slog.New(slog.NewJSONHandler(&w.log, nil))
	w.ended = token.NewRevocationList(clock)
	w.feed = session.NewFeed(w.Database.Sessions, clock)
	w.verifier = token.NewVerifier(token.Config{Issuer: issuer, Audience: "gatehouse"}, keys, w.ended, clock)
	w.sessions = session.NewService(session.Params{
		Config: session.Config{Issuer: issuer, Audience: "gatehouse", AccessTTL: 10 * time.Minute, Lifetime: 24 * time.Hour, Idle: time.Hour, BrowserIdle: 12 * time.Hour},
		Store:  w.Database.Sessions, Signer: keys, NewID: uuid.NewString, Random: rand.Reader, Now: clock, Wake: w.feed.Wake, Log: log,
	})
	w.browsers = session.NewBrowsers(session.BrowserParams{
		Config: session.BrowserConfig{Lifetime: 24 * time.Hour, Idle: 12 * time.Hour}, Store: w.Database.Browsers, NewID: uuid.NewString,
		Random: rand.Reader, Now: clock, Wake: w.feed.Wake,
	})
	w.pages, err = pages.New(pages.Params{Browsers: w.browsers, Clients: w.Clients, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	w.register(t)
	w.Provider = openid.New(openid.Params{
		Issuer: issuer, Clients: w.Clients, Browsers: w.browsers,
		Sessions: w.sessions, Store: postgres.NewCodes(w.Pool, w.Outbox), People: postgres.NewPeople(w.Pool), Pages: w.pages, Permissions: w.roles,
		IDTokens: idTokens{}, Access: w.verifier,
		Codes: openid.NewCodes(bytes.Repeat([]byte{1}, 32), nil, nil), NewID: uuid.NewString, Now: clock, Log: log,
	})
	w.signUp(t)
	w.cookie = w.signIn(t, w.userID)
	w.now = w.now.Add(time.Hour) // the person was signed in a while ago
	w.refresh(t)
	return w
}

// register makes the clients.
func (w *world) register(t *testing.T) {
	t.Helper()
	scopes := []string{"openid", "email", "profile", "roles", "offline_access"}
	w.client = w.registered(t, client.Client{
		ID: webID, Public: true, Scopes: scopes, IDTokenAlgorithm: client.EdDSA,
		RedirectURIs: []string{callback, "com.example.app:/callback", "https://app.example/with?a=b", "http://127.0.0.1/callback"}, PostLogoutRedirectURIs: []string{bye},
	})
	w.backend = w.registered(t, client.Client{
		ID: backendID, Scopes: append(scopes, "gatehouse"), RedirectURIs: []string{callback}, IDTokenAlgorithm: client.ES256, Audiences: []string{"https://api.example"},
	})
	w.other = w.registered(t, client.Client{ID: otherID, Scopes: scopes, RedirectURIs: []string{callback}, IDTokenAlgorithm: client.RS256})
}

// registered stores a client; the secret of a confidential one is "secret".
func (w *world) registered(t *testing.T, c client.Client) client.Client {
	t.Helper()
	c.Name, c.Revision, c.CreateTime, c.UpdateTime = "An application", 1, w.now, w.now
	if !c.Public {
		c.Secrets = []client.Secret{{ID: uuid.NewString(), Hash: sha256.Sum256([]byte("secret")), CreateTime: w.now}}
	}
	if err := w.Clients.Create(t.Context(), c, postgrestest.Event("client.created")); err != nil {
		t.Fatal(err)
	}
	return c
}

// hintOf is an ID token that was once given to the public client.
func hintOf(subject string) string { return `{"sub":"` + subject + `","aud":"` + webID + `"}` }

// signUp makes the login of the person.
func (w *world) signUp(t *testing.T) {
	t.Helper()
	l, signedUp := login.Login{UserID: w.userID, Email: "ada@example.com", PasswordHash: "$hash"}, postgrestest.Event("auth.signed_up")
	if _, _, err := w.Logins.Reserve(t.Context(), l, signedUp, w.now, w.now); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Logins.Activate(t.Context(), login.NewActivation(signedUp, w.userID, w.org), w.now); err != nil {
		t.Fatal(err)
	}
}

// signIn begins a browser session, and returns its cookie.
func (w *world) signIn(t *testing.T, userID string) string {
	t.Helper()
	cookie, _, err := w.browsers.Begin(t.Context(), session.Proof{
		UserID: userID, OrganizationID: w.org, AMR: []string{"pwd"}, Attempt: postgrestest.Event("auth.signed_in"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return cookie
}

// refresh has the verifiers know which sessions have ended.
func (w *world) refresh(t *testing.T) {
	t.Helper()
	all, _, err := w.Database.Sessions.Revocations(t.Context(), 0, w.now)
	if err != nil {
		t.Fatal(err)
	}
	var ended []token.Revocation
	for _, r := range all {
		ended = append(ended, token.Revocation{SessionID: r.SessionID, ExpiresAt: r.ExpireTime})
	}
	w.ended.Apply(true, ended)
}

// asks is a good authorization request, changed by pairs of names and values; an empty value takes
// the parameter away.
func (w *world) asks(pairs ...string) url.Values {
	q := url.Values{
		"client_id": {w.client.ID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid email"}, "state": {"s t"},
		"nonce": {"n"}, "code_challenge": {s256}, "code_challenge_method": {"S256"},
	}
	return with(q, pairs...)
}

// authorize sends an authorization request from a browser with cookies.
func (w *world) authorize(query string, cookies ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, issuer+openid.AuthorizePath+"?"+query, nil)
	for _, c := range cookies {
		r.AddCookie(&http.Cookie{Name: session.CookieName, Value: c})
	}
	answer := httptest.NewRecorder()
	w.Authorize(answer, r)
	return answer.Result()
}

// answer is a JSON document of the provider.
type answer map[string]any

// post sends a form to an endpoint, and returns the status, the headers and the document.
func post(t *testing.T, endpoint http.HandlerFunc, form url.Values, change ...func(*http.Request)) (*http.Response, answer) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, issuer, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r = r.WithContext(postgrestest.Request(context.Background(), "auth.tokens_issued"))
	for _, c := range change {
		c(r)
	}
	recorder := httptest.NewRecorder()
	endpoint(recorder, r)
	var told answer
	response := recorder.Result()
	if body, err := io.ReadAll(response.Body); err != nil || len(body) > 0 && json.Unmarshal(body, &told) != nil {
		t.Errorf("answered %q, %v", body, err)
	}
	if response.Header.Get("Cache-Control") != "no-store" || response.StatusCode == http.StatusUnauthorized && response.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("%d with the headers %v", response.StatusCode, response.Header)
	}
	return response, told
}

// basic authenticates a backend.
func basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

// redeems is a good request for the tokens of a code of the public client.
func redeems(code string, pairs ...string) url.Values {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}, "client_id": {webID},
	}
	return with(form, pairs...)
}

// code has the person grant a request, and returns the code.
func (w *world) code(t *testing.T, pairs ...string) string {
	t.Helper()
	q := sentTo(t, w.authorize(w.asks(pairs...).Encode(), w.cookie)).Query()
	if q.Get("code") == "" {
		t.Fatalf("answered %v", q)
	}
	return q.Get("code")
}

// grant has the person sign in to the public client, and returns what that gets.
func (w *world) grant(t *testing.T, pairs ...string) answer {
	t.Helper()
	r, told := post(t, w.Token, redeems(w.code(t, pairs...)))
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", r.StatusCode, told)
	}
	return told
}

func (a answer) text(name string) string {
	s, _ := a[name].(string)
	return s
}

// with changes values by pairs of names and values; an empty value takes the parameter away.
func with(q url.Values, pairs ...string) url.Values {
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		}
	}
	return q
}

// sentTo is where a response sends a browser.
func sentTo(t *testing.T, r *http.Response) *url.URL {
	t.Helper()
	u, err := url.Parse(r.Header.Get("Location"))
	if err != nil || r.StatusCode != http.StatusSeeOther || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d to %q, %v; want 303 that nobody keeps", r.StatusCode, r.Header.Get("Location"), err)
	}
	return u
}
