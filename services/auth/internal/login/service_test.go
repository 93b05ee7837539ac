package login_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

const (
	email = "ada@example.com"
	pass  = "correct horse battery staple"
)

// world is one Auth with its database and a peer.
type world struct {
	*login.Service
	*postgrestest.Database
	store    *postgres.Logins
	identity *identity
	desk     *mail.Desk // nil writes no mails
	now      time.Time
	log      bytes.Buffer
}

var cheap = password.Parameters{Memory: 64, Time: 1, Threads: 1}

func newWorld(t *testing.T) *world {
	t.Helper()
	db := postgrestest.Open(t)
	w := &world{
		Database: db, store: db.Logins,
		identity: &identity{users: map[string]login.User{}},
		now:      time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
	w.Service = w.with(t, cheap)
	return w
}

// with is another instance on the same database.
func (w *world) with(t *testing.T, p password.Parameters) *login.Service {
	t.Helper()
	pool, err := password.NewPool(p, 4, 100, rand.Reader, func(context.Context) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return w.hashing(pool)
}

// hashing is another instance with a hasher of its own.
func (w *world) hashing(h login.Hasher) *login.Service {
	return login.NewService(login.Params{
		Config: login.Config{
			CreateUserTimeout: 5 * time.Second, SignUpGrace: 15 * time.Second, RetryInterval: 10 * time.Second, RevocationPeriod: time.Hour,
			SignUps: login.SignUpsOpen, BootstrapSecret: secret,
		},
		Store: w.store, Directory: w.identity, Hasher: h, Throttle: w.Throttled(func() time.Time { return w.now }), Desk: w.desk, Codes: w.MailedCodes, Invitations: w.store, NewID: uuid.NewString,
		Now: func() time.Time { return w.now }, Wake: func() {}, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
	})
}

func signingUp(ctx context.Context) context.Context {
	return postgrestest.Request(ctx, "auth.signed_up")
}

func (w *world) signUp(pw string) (login.User, error) {
	return w.SignUp(signingUp(context.Background()), login.SignUp{Email: email, Password: pw, DisplayName: "Ada"})
}

func (w *world) state(t *testing.T) login.State {
	t.Helper()
	l, err := w.store.ByEmail(t.Context(), email)
	if errors.Is(err, login.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return l.State
}

// reason is the reason of an error of the closed set, "" for none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return apierr.From(err).Reason
}

func TestSignUpThenSignIn(t *testing.T) {
	w := newWorld(t)
	u, err := w.SignUp(signingUp(t.Context()), login.SignUp{Email: "Ada@Example.COM", Password: pass, DisplayName: "Ada"})
	if err != nil || u.Email != email || u.DisplayName != "Ada" {
		t.Fatalf("SignUp = %+v, %v", u, err)
	}
	l, _, err := w.Authenticate(postgrestest.Request(t.Context(), "auth.signed_in"), login.Credentials{Email: "ADA@example.com", Password: pass})
	if err != nil || l.UserID != u.ID || l.OrganizationID != u.OrganizationID || l.DisplayName != "" {
		t.Fatalf("Authenticate = %+v, %v; want user %s", l, err, u.ID)
	}
	if _, err := w.signUp(pass); reason(err) != "EMAIL_TAKEN" {
		t.Fatalf("signing up again: %v, want EMAIL_TAKEN", err)
	}
}

func TestSignUpRefusesPasswordsByName(t *testing.T) { // R4
	w := newWorld(t)
	_, err := w.signUp(email)
	var e *apierr.Error
	if !errors.As(err, &e) || e.Kind != apierr.InvalidArgument || len(e.Fields) != 1 || e.Fields[0].Path != "password" ||
		e.Fields[0].Rule != "password.context" {
		t.Fatalf("SignUp = %#v, want INVALID_ARGUMENT naming field and rule", err)
	}
	if w.state(t) != "" || w.identity.calls != 0 {
		t.Fatal("a refused password left something behind")
	}
}

func TestAuthenticateRefusesAlike(t *testing.T) { // R10
	w := newWorld(t)
	if _, err := w.signUp(pass); err != nil {
		t.Fatal(err)
	}
	w.identity.fail(apierr.New(apierr.Unavailable, "DOWN", "down"), nil)
	if _, err := w.SignUp(signingUp(t.Context()), login.SignUp{Email: "pending@example.com", Password: pass}); err == nil {
		t.Fatal("the pending sign-up succeeded")
	}
	for name, c := range map[string]struct{ email, password string }{
		"wrong password":  {email, "wrong horse battery staple"},
		"unknown address": {"nobody@example.com", pass},
		"pending":         {"pending@example.com", pass},
		"no address":      {"not an address", pass},
		"NUL":             {"ada@example.com\x00", pass},
		"quote":           {`ada@example.com' or ''='`, pass},
		"empty password":  {email, ""},
	} {
		_, _, err := w.Authenticate(postgrestest.Request(t.Context(), "auth.signed_in"), login.Credentials{Email: c.email, Password: c.password})
		var e *apierr.Error
		if !errors.As(err, &e) || e.Kind != apierr.Unauthenticated || e.Reason != "INVALID_CREDENTIALS" ||
			e.Message != "the email address or the password is wrong" || len(e.Fields) > 0 || e.RetryAfter != 0 {
			t.Errorf("%s: %v, want the one refusal", name, err)
		}
	}
}

// counting is a hasher that counts what takes time.
type counting struct {
	login.Hasher
	verified, hashed int
}

func (c *counting) Hash(ctx context.Context, password string) (string, error) {
	c.hashed++
	return c.Hasher.Hash(ctx, password)
}

func (c *counting) Verify(ctx context.Context, password, phc string) (match, weak bool, err error) {
	c.verified++
	return c.Hasher.Verify(ctx, password, phc)
}

func (c *counting) VerifyNobody(ctx context.Context, password string) error {
	c.verified++
	return c.Hasher.VerifyNobody(ctx, password)
}

func TestAuthenticateRefusesAfterTheSameWork(t *testing.T) { // R11
	w := newWorld(t)
	if _, err := w.signUp(pass); err != nil {
		t.Fatal(err)
	}
	w.identity.fail(apierr.New(apierr.Unavailable, "DOWN", "down"), nil)
	if _, err := w.SignUp(signingUp(t.Context()), login.SignUp{Email: "pending@example.com", Password: pass}); err == nil {
		t.Fatal("the pending sign-up succeeded")
	}
	for name, c := range map[string]struct{ email, password string }{
		"wrong password":            {email, "wrong horse battery staple"},
		"empty password":            {email, ""},
		"unknown address":           {"nobody@example.com", pass},
		"pending":                   {"pending@example.com", pass},
		"pending, wrong password":   {"pending@example.com", "wrong horse battery staple"},
		"an address nobody can own": {"ada@example.com\x00", pass},
	} {
		count := &counting{Hasher: w.Hasher}
		if _, _, err := w.hashing(count).Authenticate(postgrestest.Request(t.Context(), "auth.signed_in"), login.Credentials{Email: c.email, Password: c.password}); reason(err) != "INVALID_CREDENTIALS" {
			t.Errorf("%s: %v, want INVALID_CREDENTIALS", name, err)
		}
		if count.verified != 1 || count.hashed != 0 {
			t.Errorf("%s: %d verifications and %d hashes, want one verification", name, count.verified, count.hashed)
		}
	}
}

func TestSignInReplacesWeakHashes(t *testing.T) { // R6
	w := newWorld(t)
	if _, err := w.signUp(pass); err != nil {
		t.Fatal(err)
	}
	stronger := w.with(t, password.Parameters{Memory: 128, Time: 2, Threads: 1})
	if _, _, err := stronger.Authenticate(postgrestest.Request(t.Context(), "auth.signed_in"), login.Credentials{Email: email, Password: "wrong horse battery staple"}); err == nil {
		t.Fatal("a wrong password signs in")
	}
	if l, _ := w.store.ByEmail(t.Context(), email); !strings.Contains(l.PasswordHash, "m=64,t=1") {
		t.Fatalf("a wrong password changed the hash to %s", l.PasswordHash)
	}
	for range 2 {
		if _, _, err := stronger.Authenticate(postgrestest.Request(t.Context(), "auth.signed_in"), login.Credentials{Email: email, Password: pass}); err != nil {
			t.Fatal(err)
		}
	}
	if l, _ := w.store.ByEmail(t.Context(), email); !strings.Contains(l.PasswordHash, "m=128,t=2") {
		t.Fatalf("the hash is still %s", l.PasswordHash)
	}
}

// racing is a hasher beside which another sign-in is faster.
type racing struct {
	login.Hasher
	first func()
}

func (r *racing) Hash(ctx context.Context, password string) (string, error) {
	if first := r.first; first != nil {
		r.first = nil
		first()
	}
	return r.Hasher.Hash(ctx, password)
}

// Of two sign-ins at once that replace a weak hash both are of the one that stays; one beside a
// change of the password is of the old one.
func TestSignInBesideAnotherReplacement(t *testing.T) { // R6, R22
	for name, c := range map[string]struct {
		first func(*testing.T, *world, *login.Service, login.Login)
		same  bool
	}{
		"by a sign-in": {func(t *testing.T, _ *world, s *login.Service, _ login.Login) {
			if _, _, err := s.Authenticate(postgrestest.Request(t.Context(), "auth.signed_in"), login.Credentials{Email: email, Password: pass}); err != nil {
				t.Error(err)
			}
		}, true},
		"by a change": {func(t *testing.T, w *world, _ *login.Service, l login.Login) {
			if err := w.change(t.Context(), l.UserID, pass, newPass, ""); err != nil {
				t.Error(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if _, err := w.signUp(pass); err != nil {
				t.Fatal(err)
			}
			old, err := w.store.ByEmail(t.Context(), email)
			if err != nil {
				t.Fatal(err)
			}
			stronger := w.with(t, password.Parameters{Memory: 128, Time: 2, Threads: 1})
			hasher := &racing{Hasher: stronger.Hasher}
			hasher.first = func() { c.first(t, w, stronger, old) }
			stronger.Hasher = hasher
			got, _, err := stronger.Authenticate(postgrestest.Request(t.Context(), "auth.signed_in"), login.Credentials{Email: email, Password: pass})
			if err != nil {
				t.Fatal(err)
			}
			stored, err := w.store.ByEmail(t.Context(), email)
			if err != nil || (got.PasswordHash == stored.PasswordHash) != c.same || !c.same && got.PasswordHash != old.PasswordHash {
				t.Errorf("proven by %s, stored %s, %v", got.PasswordHash, stored.PasswordHash, err)
			}
		})
	}
}

// TestHalfFinishedSignUp fails the saga at each step and drives it on in each way.
func TestHalfFinishedSignUp(t *testing.T) {
	down := apierr.New(apierr.Unavailable, "UPSTREAM_UNAVAILABLE", "down")
	for step, fail := range map[string]struct{ before, after error }{
		"identity unreachable":      {before: down},
		"identity's answer is lost": {after: down},
		"identity defect":           {after: errors.New("boom")},
		"identity too slow":         {after: context.DeadlineExceeded},
		"mesh refuses":              {before: apierr.New(apierr.PermissionDenied, "CALL_DENIED", "denied")},
	} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			w.identity.fail(fail.before, fail.after)
			_, err := w.signUp(pass)
			if e := apierr.From(err); err == nil || e.Kind != apierr.Unavailable || e.RetryAfter == 0 {
				t.Fatalf("SignUp = %v, want UNAVAILABLE with a time to come back", err)
			}
			if w.state(t) != login.Pending {
				t.Fatalf("state = %q, want pending", w.state(t))
			}
			t.Run("other password is a taken address", func(t *testing.T) {
				w.identity.fail(nil, nil)
				if _, err := w.signUp("another horse battery staple"); reason(err) != "EMAIL_TAKEN" {
					t.Fatalf("SignUp = %v, want EMAIL_TAKEN", err)
				}
			})
			t.Run("same password completes it", func(t *testing.T) {
				u, err := w.signUp(pass)
				if err != nil {
					t.Fatal(err)
				}
				if l, _, err := w.Authenticate(postgrestest.Request(t.Context(), "auth.signed_in"), login.Credentials{Email: email, Password: pass}); err != nil || l.UserID != u.ID || len(w.identity.users) != 1 {
					t.Fatalf("Authenticate = %+v, %v with %d users; want the one user %s", l, err, len(w.identity.users), u.ID)
				}
			})
		})
	}
}

func TestReconcileCompletes(t *testing.T) {
	w := newWorld(t)
	w.identity.fail(nil, errors.New("boom"))
	_, _ = w.signUp(pass)
	w.identity.fail(nil, nil)
	if err := w.Reconcile(t.Context()); err != nil || w.state(t) != login.Pending {
		t.Fatalf("within the grace: %v, state %q; want it left alone", err, w.state(t))
	}
	w.now = w.now.Add(15 * time.Second)
	if err := w.Reconcile(t.Context()); err != nil || w.state(t) != login.Active {
		t.Fatalf("after the grace: %v, state %q; want it completed", err, w.state(t))
	}
	if len(w.identity.users) != 1 {
		t.Fatalf("%d users, want 1", len(w.identity.users))
	}
	if _, _, err := w.Authenticate(postgrestest.Request(t.Context(), "auth.signed_in"), login.Credentials{Email: email, Password: pass}); err != nil {
		t.Fatal(err)
	}
}

func TestReconcileWaitsWhileIdentityIsDown(t *testing.T) {
	w := newWorld(t)
	w.identity.fail(apierr.New(apierr.Unavailable, "DOWN", "down"), nil)
	_, _ = w.signUp(pass)
	for range 3 {
		w.now = w.now.Add(15 * time.Second)
		if err := w.Reconcile(t.Context()); err == nil || w.state(t) != login.Pending {
			t.Fatalf("Reconcile = %v, state %q; want an error and pending", err, w.state(t))
		}
	}
	w.identity.fail(nil, nil)
	w.now = w.now.Add(15 * time.Second)
	if err := w.Reconcile(t.Context()); err != nil || w.state(t) != login.Active {
		t.Fatalf("Reconcile = %v, state %q; want it completed", err, w.state(t))
	}
}

func TestRefusedForGoodIsUndone(t *testing.T) {
	refusal := apierr.New(apierr.InvalidArgument, "INVALID_ARGUMENT", "bad").WithField("email", "string.email", "must be an address")
	t.Run("in the request", func(t *testing.T) {
		w := newWorld(t)
		w.identity.fail(refusal, nil)
		if _, err := w.signUp(pass); reason(err) != "SIGN_UP_REFUSED" || w.state(t) != "" {
			t.Fatalf("SignUp = %v, state %q; want a refusal and nothing left", err, w.state(t))
		}
	})
	t.Run("in the request, because the user was deleted meanwhile", func(t *testing.T) {
		w := newWorld(t)
		w.identity.fail(apierr.New(apierr.AlreadyExists, "USER_ID_TAKEN", "another user has or had this id"), nil)
		if _, err := w.signUp(pass); reason(err) != "SIGN_UP_REFUSED" || w.state(t) != "" {
			t.Fatalf("SignUp = %v, state %q; want a refusal and nothing left", err, w.state(t))
		}
	})
	t.Run("by the reconciler", func(t *testing.T) {
		w := newWorld(t)
		w.identity.fail(errors.New("boom"), nil)
		_, _ = w.signUp(pass)
		w.identity.fail(refusal, nil)
		w.now = w.now.Add(time.Minute)
		if err := w.Reconcile(t.Context()); err != nil || w.state(t) != "" {
			t.Fatalf("Reconcile = %v, state %q; want nothing left", err, w.state(t))
		}
		w.identity.fail(nil, nil)
		if _, err := w.signUp(pass); err != nil {
			t.Fatalf("the address is not free: %v", err)
		}
	})
}

func TestTwoReconcilersShareTheWork(t *testing.T) {
	w := newWorld(t)
	w.identity.fail(errors.New("boom"), nil)
	const n = 25
	for i := range n {
		_, _ = w.SignUp(signingUp(t.Context()), login.SignUp{Email: strings.Repeat("a", i+1) + "@example.com", Password: pass})
	}
	w.identity.fail(nil, nil)
	w.identity.calls = 0
	w.now = w.now.Add(time.Minute)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if err := w.Reconcile(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(w.identity.users) != n || w.identity.calls != n {
		t.Fatalf("%d users by %d calls, want %d by as many", len(w.identity.users), w.identity.calls, n)
	}
}

func TestParallelSignUpsMakeOneUser(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := w.signUp(pass); err != nil && reason(err) != "EMAIL_TAKEN" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(w.identity.users) != 1 || w.state(t) != login.Active {
		t.Fatalf("%d users, state %q; want one and active", len(w.identity.users), w.state(t))
	}
}

func TestRemoveWhilePendingStopsTheSignUp(t *testing.T) {
	w := newWorld(t)
	w.identity.fail(errors.New("boom"), nil)
	_, _ = w.signUp(pass)
	l, err := w.store.ByEmail(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Remove(postgrestest.Request(t.Context(), "auth.login_removed"), l.UserID); err != nil {
			t.Fatal(err)
		}
	}
	w.identity.fail(nil, nil)
	w.now = w.now.Add(time.Minute)
	if err := w.Reconcile(t.Context()); err != nil || w.state(t) != "" || len(w.identity.users) != 0 {
		t.Fatalf("Reconcile = %v, state %q, %d users; want nothing", err, w.state(t), len(w.identity.users))
	}
}

func TestLogsHoldNoSecrets(t *testing.T) { // R74
	w := newWorld(t)
	w.identity.fail(errors.New("boom"), nil)
	_, _ = w.signUp(pass)
	w.identity.fail(nil, nil)
	w.now = w.now.Add(time.Minute)
	if err := w.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := w.log.String(); text == "" || strings.Contains(text, email) || strings.Contains(text, pass) {
		t.Fatalf("log = %s", text)
	}
}
