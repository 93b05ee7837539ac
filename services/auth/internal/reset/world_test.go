package reset_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
	"github.com/gatehouse/gatehouse/services/auth/internal/seal"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

const (
	ada     = "ada@example.com"
	pass    = "correct horse battery staple"
	newPass = "another phrase of mine"
)

// world is one Auth that mails.
type world struct {
	*postgrestest.Database
	*reset.Service
	logins   *login.Service
	browsers *session.Browsers
	office   mailtest.Office
	factors  *factor.Service
	now      time.Time
}

// identity stands in for Identity, which is beyond the mesh.
type identity struct{ fail error }

func (i *identity) CreateUser(_ context.Context, n login.NewUser) (login.User, error) {
	return login.User{ID: n.ID, OrganizationID: uuid.NewString(), Email: n.Email}, i.fail
}

func (i *identity) SetEmail(context.Context, login.Email) error { return i.fail }

func (i *identity) ActivateUser(context.Context, string) (login.User, error) {
	return login.User{}, errors.New("nobody is invited here")
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Database: postgrestest.Open(t), now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	w.office = mailtest.NewOffice(t, clock)
	pool, err := password.NewPool(password.Parameters{Memory: 64, Time: 1, Threads: 1}, 4, 100, rand.Reader, func(context.Context) string { return "" })
	check.NoError(t, err)
	w.logins = w.people(clock, pool, &identity{})
	w.browsers = session.NewBrowsers(session.BrowserParams{
		Config: session.BrowserConfig{Lifetime: time.Hour, Idle: time.Hour}, Store: w.Browsers, NewID: uuid.NewString, Random: rand.Reader, Now: clock, Wake: func() {},
	})
	box := func(purpose string) *seal.Box { return seal.NewBox(purpose, bytes.Repeat([]byte{1}, 32), nil, nil) }
	w.factors = factor.NewService(factor.Params{
		Store: w.Factors, Secrets: box(factor.SecretPurpose), Tokens: box(factor.TokenPurpose), Throttle: w.Throttled(clock), Desk: w.office.Desk,
		Site: "gate.example", RevocationPeriod: time.Hour, Now: clock, Wake: func() {}, Log: slog.New(slog.DiscardHandler),
	})
	w.Service = reset.NewService(reset.Params{
		Store: w.Resets, Logins: w.Logins, Codes: w.MailedCodes, Factors: w.factors, Hasher: pool, Throttle: w.Throttled(clock),
		Desk: w.office.Desk, RevocationPeriod: time.Hour, Now: clock, Wake: func() {}, Log: slog.New(slog.DiscardHandler),
	})
	return w
}

// people sign up without a mail, so that nobody has proven their address.
func (w *world) people(clock func() time.Time, pool *password.Pool, peer *identity) *login.Service {
	return login.NewService(login.Params{
		Config: login.Config{
			CreateUserTimeout: 5 * time.Second, SignUpGrace: time.Minute, RetryInterval: 10 * time.Second, RevocationPeriod: time.Hour, SignUps: login.SignUpsOpen,
		},
		Store: w.Logins, Directory: peer, Hasher: pool, Throttle: w.Throttled(clock), NewID: uuid.NewString, Now: clock, Wake: func() {}, Log: slog.New(slog.DiscardHandler),
	})
}

// signedUp makes a login, whose address is proven or not.
func (w *world) signedUp(t *testing.T, email string, verified bool) (userID string) {
	t.Helper()
	u, err := w.logins.SignUp(postgrestest.Request(t.Context(), "auth.signed_up"), login.SignUp{Email: email, Password: pass})
	check.NoError(t, err)
	if verified {
		_, err := w.Pool.Exec(t.Context(), `update auth.logins set email_verified = true where user_id = $1`, u.ID)
		check.NoError(t, err)
	}
	return u.ID
}

// asked asks for a mail, and returns the code in it; "" when nobody is told one.
func (w *world) asked(t *testing.T, email string) proof.Code {
	t.Helper()
	check.NoError(t, w.Ask(postgrestest.Request(t.Context(), "auth.password_reset_requested"), email, ""))
	return w.told(t)
}

var codeOfLink = regexp.MustCompile(`https://gate\.example/reset-password\?code=(\S+)`)

// told is the code of the newest mail that waits.
func (w *world) told(t *testing.T) (c proof.Code) {
	t.Helper()
	for _, m := range w.office.Read(t, w.Mails) {
		if found := codeOfLink.FindStringSubmatch(m.Text); found != nil {
			c = proof.Code(found[1])
		}
	}
	return c
}

// resets makes a reset, and returns the reason of its refusal.
func (w *world) resets(t *testing.T, code proof.Code, fresh string) string {
	t.Helper()
	return reasonOf(w.Reset(t.Context(), reset.Reset{Code: code, NewPassword: fresh, Event: postgrestest.Event("auth.password_reset")}))
}

// signsIn reports whether a password is that of an address.
func (w *world) signsIn(t *testing.T, email, given string) bool {
	t.Helper()
	_, _, err := w.logins.Authenticate(postgrestest.Request(t.Context(), "auth.signed_in"), login.Credentials{Email: email, Password: given})
	if r := reasonOf(err); r != "" && r != "INVALID_CREDENTIALS" {
		t.Fatal(err)
	}
	return err == nil
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return apierr.From(err).Reason
}
