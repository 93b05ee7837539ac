package pages_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/pages"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

const (
	email = "ada@example.com"
	pass  = "correct horse battery staple"
	host  = "id.example"

	organization = "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10" // everybody's

	callback   = "https://app.example/callback"
	afterwards = "https://app.example/bye"
)

// world is the pages over a database, with one client.
type world struct {
	*postgrestest.Database
	*pages.Pages
	params   pages.Params
	logins   *login.Service // without mail, unless mailing says otherwise
	factors  *factor.Service
	hasher   *password.Pool
	salts    salts
	identity identity
	client   client.Client
	office   mailtest.Office
	now      time.Time
}

// identity stands in for Identity, which is beyond the mesh.
type identity struct{ fail error }

func (i *identity) CreateUser(_ context.Context, n login.NewUser) (login.User, error) {
	return login.User{ID: n.ID, OrganizationID: organization, Email: n.Email, DisplayName: n.DisplayName}, i.fail
}

func (i *identity) SetEmail(context.Context, login.Email) error { return i.fail }

func (i *identity) ActivateUser(ctx context.Context, userID string) (login.User, error) {
	return i.CreateUser(ctx, login.NewUser{ID: userID})
}

// newWorld makes the pages; so many passwords may wait while one is hashed.
func newWorld(t *testing.T, queue int) *world {
	t.Helper()
	db := postgrestest.Open(t)
	w := &world{Database: db, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	w.office = mailtest.NewOffice(t, clock)
	var err error
	w.hasher, err = password.NewPool(password.Parameters{Memory: 64, Time: 1, Threads: 1}, 1, queue, &w.salts, func(context.Context) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	w.logins = login.NewService(login.Params{
		Config: login.Config{
			CreateUserTimeout: 5 * time.Second, SignUpGrace: time.Minute, RetryInterval: 10 * time.Second, RevocationPeriod: time.Hour,
			SignUps: login.SignUpsOnPages,
		},
		Store: db.Logins, Directory: &w.identity, Hasher: w.hasher, Throttle: db.Throttled(clock), Codes: db.MailedCodes, Invitations: db.Logins, NewID: uuid.NewString, Now: clock, Wake: func() {}, Log: slog.New(slog.DiscardHandler),
	})
	clients := postgres.NewClients(db.Pool, db.Outbox)
	w.client = client.Client{
		ID: client.NewID(uuid.NewString()), Name: "Blue & Green", Public: true, Scopes: []string{"openid"}, IDTokenAlgorithm: client.RS256,
		RedirectURIs:           []string{callback, "http://127.0.0.1/callback", "http://[::1]/callback", "com.example.app:/callback"},
		PostLogoutRedirectURIs: []string{afterwards}, CreateTime: w.now, UpdateTime: w.now, Revision: 1,
	}
	if err := clients.Create(t.Context(), w.client, postgrestest.Event("client.created")); err != nil {
		t.Fatal(err)
	}
	w.factors = db.FactorService(clock)
	w.factors.Desk = w.office.Desk
	w.params = pages.Params{
		Logins: w.logins, Resets: w.resets(false), Emails: w.emails(false), Factors: w.factors, Clients: clients, SignUps: login.SignUpsOnPages, Now: clock,
		Overview: session.NewOverview(session.OverviewParams{
			Config: session.Config{Idle: time.Hour, BrowserIdle: time.Hour}, Store: db.Overview, Now: clock, Wake: func() {},
		}),
		Browsers: session.NewBrowsers(session.BrowserParams{
			Config: session.BrowserConfig{Lifetime: 24 * time.Hour, Idle: time.Hour}, Store: db.Browsers,
			NewID: uuid.NewString, Random: rand.Reader, Now: clock, Wake: func() {},
		}),
	}
	w.serve(t)
	return w
}

// mailing configures mail.
func (w *world) mailing(t *testing.T) {
	t.Helper()
	p := w.logins.Params
	p.Desk = w.office.Desk
	w.params.Mail = true
	w.params.Logins, w.params.Resets, w.params.Emails = login.NewService(p), w.resets(true), w.emails(true)
	w.serve(t)
}

// serve makes the pages of the params anew, as a restart does.
func (w *world) serve(t *testing.T) {
	t.Helper()
	p, err := pages.New(w.params)
	if err != nil {
		t.Fatal(err)
	}
	w.Pages = p
}

// salts are random, and can be made to keep whoever hashes a password waiting.
type salts struct{ asked, given chan struct{} }

func (s *salts) Read(b []byte) (int, error) {
	if s.asked != nil {
		close(s.asked)
		<-s.given
	}
	return rand.Read(b)
}

// hashing keeps the only hasher busy until the test says otherwise.
func (w *world) hashing(t *testing.T) (release func()) {
	t.Helper()
	w.salts.asked, w.salts.given = make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := w.hasher.Hash(t.Context(), pass)
		done <- err
	}()
	<-w.salts.asked
	w.salts.asked = nil
	return func() {
		close(w.salts.given)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// signedUp makes a login.
func (w *world) signedUp(t *testing.T, address string) {
	t.Helper()
	if _, err := w.logins.SignUp(postgrestest.Request(t.Context(), "auth.signed_up"), login.SignUp{Email: address, Password: pass, OnPage: true}); err != nil {
		t.Fatal(err)
	}
}

// proven makes a login whose address is proven.
func (w *world) proven(t *testing.T, address string) {
	t.Helper()
	w.signedUp(t, address)
	if _, err := w.Pool.Exec(t.Context(), `update auth.logins set email_verified = true where email = $1`, address); err != nil {
		t.Fatal(err)
	}
}

// authorize is a request to the provider.
func (w *world) authorize(redirect string, more ...string) string {
	query := url.Values{"client_id": {w.client.ID}, "redirect_uri": {redirect}, "response_type": {"code"}}
	for i := 0; i < len(more); i += 2 {
		query.Add(more[i], more[i+1])
	}
	return "/oauth2/authorize?" + query.Encode()
}

// browser is one browser: the cookies of its session and its device, and what it says of each request.
type browser struct {
	world  *world
	cookie string
	device *http.Cookie

	challenge string // what the cookie of a challenge holds

	header http.Header
}

func (w *world) browser() *browser {
	return &browser{world: w, header: http.Header{"Sec-Fetch-Site": {"same-origin"}}}
}

// answer is a response, and the page in it.
type answer struct {
	*httptest.ResponseRecorder

	page string
}

// routes are the contract's.
func routes() map[string]string {
	return map[string]string{
		"GET /sign-in": "ShowSignIn", "POST /sign-in": "SubmitSignIn", "GET /sign-up": "ShowSignUp", "POST /sign-up": "SubmitSignUp",
		"GET /verify-email": "ShowVerifyEmail", "POST /verify-email": "SubmitVerifyEmail",
		"POST /account/email": "SubmitEmail", "GET /confirm-email": "ShowConfirmEmail", "POST /confirm-email": "SubmitConfirmEmail",
		"GET /recover": "ShowRecover", "POST /recover": "SubmitRecover", "GET /reset-password": "ShowResetPassword", "POST /reset-password": "SubmitResetPassword",
		"GET /sign-in/code": "ShowCode", "POST /sign-in/code": "SubmitCode",
		"GET /accept-invitation": "ShowAcceptInvitation", "POST /accept-invitation": "SubmitAcceptInvitation",
		"GET /sign-out": "ShowSignOut", "POST /sign-out": "SubmitSignOut", "GET /account": "ShowAccount",
		"POST /account/password": "SubmitPassword", "POST /account/sessions/end": "SubmitSessionEnd",
		"POST /account/sessions/end-others": "SubmitOtherSessionsEnd", "GET /.well-known/change-password": "LocateChangePassword",
		"GET /account/authenticator": "ShowAuthenticator", "POST /account/authenticator": "SubmitAuthenticator",
		"POST /account/recovery-codes": "SubmitRecoveryCodes", "POST /account/authenticator/remove": "SubmitFactorRemoval",
		"POST /account/email/verify": "SubmitEmailVerification",
	}
}

// send sends a request as an exchange does, and keeps the cookie of the response.
func (b *browser) send(t *testing.T, r *http.Request) answer {
	t.Helper()
	method, ok := routes()[r.Method+" "+r.URL.Path]
	handler, there := b.world.Handlers()[method]
	if !ok || !there {
		t.Fatalf("nobody answers %s %s", r.Method, r.URL.Path)
	}
	r.Host = host
	for name, values := range b.header {
		r.Header[name] = values
	}
	if b.cookie != "" {
		r.AddCookie(&http.Cookie{Name: session.CookieName, Value: b.cookie})
	}
	if b.challenge != "" {
		r.AddCookie(&http.Cookie{Name: "__Host-gatehouse-challenge", Value: b.challenge})
	}
	if b.device != nil {
		r.AddCookie(b.device)
	}
	e := postgrestest.Event("auth.signed_in")
	e.Changes, e.ClientAddress, e.ClientAgent = nil, "203.0.113.7", r.Header.Get("User-Agent")
	ctx := event.NewContext(request.WithID(r.Context(), "req-1"), e)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r.WithContext(ctx))
	for _, c := range w.Result().Cookies() {
		switch c.Name {
		case session.CookieName:
			b.cookie = c.Value
			continue
		case "__Host-gatehouse-challenge":
			b.challenge = c.Value
			continue
		}
		b.device = &http.Cookie{Name: c.Name, Value: c.Value}
	}
	a := answer{w, w.Body.String()}
	a.isStrict(t)
	return a
}

func (b *browser) get(t *testing.T, path string) answer {
	t.Helper()
	return b.send(t, httptest.NewRequest(http.MethodGet, path, nil))
}

func (b *browser) post(t *testing.T, path string, pairs ...string) answer {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(t, r)
}

func (b *browser) signIn(t *testing.T, address string) {
	t.Helper()
	b.post(t, "/sign-in", "email", address, "password", pass).leads(t, "/account")
}

// leads checks where a response leads.
func (a answer) leads(t *testing.T, path string) {
	t.Helper()
	if a.Code != http.StatusSeeOther || a.Header().Get("Location") != path {
		t.Fatalf("%d to %q, want 303 to %q\n%s", a.Code, a.Header().Get("Location"), path, a.page)
	}
}

// says checks the status of a page and what stands on it.
func (a answer) says(t *testing.T, status int, texts ...string) {
	t.Helper()
	if a.Code != status {
		t.Errorf("status %d, want %d", a.Code, status)
	}
	for _, text := range texts {
		if !strings.Contains(a.page, text) {
			t.Errorf("it lacks %q", text)
		}
	}
	if t.Failed() {
		t.Fatal(a.page)
	}
}

var formAction = regexp.MustCompile(`form-action ([^;]*);`)

// leadsFormsTo is what form-action of the page names.
func (a answer) leadsFormsTo() string {
	found := formAction.FindStringSubmatch(a.Header().Get("Content-Security-Policy"))
	if found == nil {
		return ""
	}
	return found[1]
}

var unavailable = apierr.New(apierr.Unavailable, "UPSTREAM_UNAVAILABLE", "down")
