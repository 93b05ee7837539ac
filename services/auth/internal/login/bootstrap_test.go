package login_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

// secret is the bootstrap secret of every world.
const secret = "a bootstrap secret of enough characters"

func (w *world) bootstrap(email, pw string) (login.User, error) {
	ctx := postgrestest.Request(context.Background(), "auth.bootstrapped")
	return w.Bootstrap(ctx, login.Bootstrap{Secret: secret, Email: email, Password: pw})
}

func TestBootstrapMakesOneAdministrator(t *testing.T) { // R16
	w := newWorld(t)
	u, err := w.bootstrap("Admin@Example.com", pass)
	if err != nil || u.Email != "admin@example.com" {
		t.Fatalf("Bootstrap = %+v, %v", u, err)
	}
	related := w.Related(t)
	if len(related) != 1 || !reflect.DeepEqual(related[u.ConsistencyToken], login.Administrators(u.ID)) {
		t.Fatalf("relationships %+v under token %s", related, u.ConsistencyToken)
	}
	if l, _, err := w.Authenticate(t.Context(), login.Credentials{Email: "admin@example.com", Password: pass}); err != nil || l.UserID != u.ID {
		t.Fatalf("Authenticate = %+v, %v; want the administrator", l, err)
	}
	for range 2 {
		for _, again := range []string{"admin@example.com", "other@example.com"} {
			if _, err := w.bootstrap(again, pass); reason(err) != "INVALID_BOOTSTRAP_SECRET" {
				t.Fatalf("Bootstrap again = %v, want INVALID_BOOTSTRAP_SECRET", err)
			}
		}
		if _, err := w.bootstrap("other@example.com", "gatehouse gatehouse"); reason(err) != "INVALID_BOOTSTRAP_SECRET" {
			t.Fatalf("Bootstrap again with a guessable password = %v, want INVALID_BOOTSTRAP_SECRET", err)
		}
		if err := w.Remove(postgrestest.Request(t.Context(), "auth.login_removed"), u.ID); err != nil { // not even without an administrator
			t.Fatal(err)
		}
	}
	if len(w.identity.users) != 1 {
		t.Fatalf("%d users, want 1", len(w.identity.users))
	}
}

func TestBootstrapRefusesEveryOtherSecret(t *testing.T) { // R16
	w := newWorld(t)
	refused := func(s *login.Service, given string) *apierr.Error {
		t.Helper()
		_, err := s.Bootstrap(t.Context(), login.Bootstrap{Secret: given, Email: email, Password: pass})
		var e *apierr.Error
		if !errors.As(err, &e) || e.Kind != apierr.Unauthenticated || e.Reason != "INVALID_BOOTSTRAP_SECRET" || len(e.Fields) > 0 {
			t.Fatalf("Bootstrap with %q = %v, want INVALID_BOOTSTRAP_SECRET", given, err)
		}
		return e
	}
	var answers []string
	for _, given := range []string{"", "x", secret[:len(secret)-1], secret + "x", strings.ToUpper(secret), secret + "\n"} {
		answers = append(answers, refused(w.Service, given).Message)
	}
	config := w.Config
	config.BootstrapSecret = ""
	without := login.NewService(login.Params{
		Config: config, Store: w.store, Directory: w.identity, Hasher: w.Hasher, NewID: w.NewID, Now: w.Now, Wake: w.Wake, Log: w.Log,
	})
	answers = append(answers, refused(without, "").Message, refused(without, secret).Message)
	if _, err := w.bootstrap(email, pass); err != nil {
		t.Fatalf("the secret after all that: %v", err)
	}
	answers = append(answers, refused(w.Service, secret).Message)
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("answers differ: %q and %q", answers[0], a)
		}
	}
}

func TestRefusedBootstrapLeavesTheSecretGood(t *testing.T) {
	w := newWorld(t)
	if _, err := w.signUp(pass); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ email, pw, reason string }{
		"taken address":      {email, pass, "EMAIL_TAKEN"},
		"guessable password": {"admin@example.com", "gatehouse gatehouse", "PASSWORD_REFUSED"},
	} {
		if _, err := w.bootstrap(c.email, c.pw); reason(err) != c.reason {
			t.Errorf("%s: %v, want %s", name, err, c.reason)
		}
	}
	w.identity.fail(apierr.New(apierr.InvalidArgument, "INVALID_ARGUMENT", "bad"), nil)
	if _, err := w.bootstrap("refused@example.com", pass); reason(err) != "SIGN_UP_REFUSED" {
		t.Errorf("refused by Identity: %v, want SIGN_UP_REFUSED", err)
	}
	w.identity.fail(nil, nil)
	if _, err := w.bootstrap("admin@example.com", pass); err != nil {
		t.Fatalf("the secret after refusals: %v", err)
	}
}

// A bootstrap that is cut in between belongs to its login, and to nobody who merely signs up, until it is completed or undone.
func TestInterruptedBootstrap(t *testing.T) {
	const admin = "admin@example.com"
	cut := func(t *testing.T) *world {
		w := newWorld(t)
		w.identity.fail(nil, errors.New("boom"))
		if _, err := w.bootstrap(admin, pass); reason(err) != "IDENTITY_UNAVAILABLE" {
			t.Fatalf("Bootstrap = %v, want IDENTITY_UNAVAILABLE", err)
		}
		w.identity.fail(nil, nil)
		for name, c := range map[string]struct{ email, pw string }{
			"other address": {"other@example.com", pass}, "other password": {admin, "another horse battery staple"},
		} {
			if _, err := w.bootstrap(c.email, c.pw); reason(err) != "BOOTSTRAP_IN_PROGRESS" || apierr.From(err).RetryAfter == 0 {
				t.Fatalf("%s: %v, want BOOTSTRAP_IN_PROGRESS with a time to come back", name, err)
			}
		}
		if _, err := w.SignUp(signingUp(t.Context()), login.SignUp{Email: admin, Password: pass}); reason(err) != "EMAIL_TAKEN" {
			t.Fatalf("a sign-up with its password = %v, want EMAIL_TAKEN", err)
		}
		if n := len(w.Related(t)); n != 0 {
			t.Fatalf("%d relationships of a pending administrator", n)
		}
		return w
	}
	completed := func(t *testing.T, w *world) {
		t.Helper()
		if len(w.identity.users) != 1 || len(w.Related(t)) != 1 {
			t.Fatalf("%d users and %d relationships, want one each", len(w.identity.users), len(w.Related(t)))
		}
		if _, err := w.bootstrap(admin, pass); reason(err) != "INVALID_BOOTSTRAP_SECRET" {
			t.Fatalf("Bootstrap afterwards = %v, want INVALID_BOOTSTRAP_SECRET", err)
		}
	}
	t.Run("is completed by a repetition", func(t *testing.T) {
		w := cut(t)
		if u, err := w.bootstrap(admin, pass); err != nil || w.Related(t)[u.ConsistencyToken].Writes == nil {
			t.Fatalf("Bootstrap = %+v, %v; want the administrator and its token", u, err)
		}
		completed(t, w)
	})
	t.Run("is completed by the reconciler", func(t *testing.T) {
		w := cut(t)
		w.now = w.now.Add(time.Minute)
		if err := w.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		completed(t, w)
	})
	t.Run("is undone when Identity refuses", func(t *testing.T) {
		w := cut(t)
		w.identity.fail(apierr.New(apierr.AlreadyExists, "USER_ID_TAKEN", "taken"), nil)
		w.now = w.now.Add(time.Minute)
		if err := w.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.identity.fail(nil, nil)
		if _, err := w.bootstrap("other@example.com", pass); err != nil {
			t.Fatalf("the secret after the undoing: %v", err)
		}
	})
}

func TestParallelBootstrapsMakeOneAdministrator(t *testing.T) { // R16
	w := newWorld(t)
	other := w.with(t, cheap) // another instance
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			s := w.Service
			if i%2 == 0 {
				s = other
			}
			ctx := postgrestest.Request(context.Background(), "auth.bootstrapped")
			_, err := s.Bootstrap(ctx, login.Bootstrap{Secret: secret, Email: strings.Repeat("a", i+1) + "@example.com", Password: pass})
			if r := reason(err); r != "" && r != "INVALID_BOOTSTRAP_SECRET" && r != "BOOTSTRAP_IN_PROGRESS" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(w.identity.users) != 1 || len(w.Related(t)) != 1 {
		t.Fatalf("%d users and %d relationships, want one each", len(w.identity.users), len(w.Related(t)))
	}
}
