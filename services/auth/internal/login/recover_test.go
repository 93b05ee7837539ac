package login_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

func (w *world) recover(t *testing.T) (secret string) {
	t.Helper()
	secret, until, err := login.Recover(t.Context(), w.Logins, rand.Reader)
	if err != nil || len(secret) != 43 {
		t.Fatalf("Recover = %q, %v", secret, err)
	}
	if in := time.Until(until); in > login.RecoverFor || in < login.RecoverFor-time.Minute {
		t.Fatalf("the secret is good for %s", in)
	}
	return secret
}

func (w *world) exchange(secret, email string) (login.User, error) {
	ctx := postgrestest.Request(context.Background(), "auth.bootstrapped")
	return w.Bootstrap(ctx, login.Bootstrap{Secret: secret, Email: email, Password: pass})
}

// R89: the platform gains an administrator again, once for each secret, however often it was
// bootstrapped, and the trail says so.
func TestRecoveryMakesAnAdministrator(t *testing.T) {
	w := newWorld(t)
	if _, err := w.bootstrap("admin@example.com", pass); err != nil {
		t.Fatal(err)
	}
	before := len(w.Recorded(t))
	secret := w.recover(t)
	u, err := w.exchange(secret, "again@example.com")
	if err != nil || !reflect.DeepEqual(w.Related(t)[u.ConsistencyToken], login.Administrators(u.ID)) {
		t.Fatalf("Bootstrap with a recovery = %+v, %v; relationships %v", u, err, w.Related(t))
	}
	if l, _, err := w.Authenticate(t.Context(), login.Credentials{Email: "again@example.com", Password: pass}); err != nil || l.UserID != u.ID {
		t.Fatalf("Authenticate = %+v, %v; want the administrator", l, err)
	}
	for _, address := range []string{"again@example.com", "third@example.com"} {
		if _, err := w.exchange(secret, address); reason(err) != "INVALID_BOOTSTRAP_SECRET" {
			t.Fatalf("a second use = %v, want INVALID_BOOTSTRAP_SECRET", err)
		}
	}
	var actions []string
	for _, e := range w.Recorded(t)[before:] {
		actions = append(actions, e.Actor.Type+" "+e.Action+" "+e.ObjectType)
	}
	if want := []string{"service auth.recovery_made platform", "user auth.recovered user"}; !reflect.DeepEqual(actions, want) {
		t.Errorf("recorded %v, want %v", actions, want)
	}
	var stored []byte
	if err := w.Pool.QueryRow(t.Context(), "select convert_to(string_agg(r::text, ' '), 'UTF8') from auth.recoveries r").Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(stored, []byte(secret)) {
		t.Error("the secret itself is stored")
	}
}

// A secret ends with its time; refusals and interruptions leave it good until then, and one that a
// pending login holds is completed.
func TestRecoveryExpires(t *testing.T) {
	w := newWorld(t)
	expire := func() {
		if _, err := w.Pool.Exec(t.Context(), "update auth.recoveries set expire_time = clock_timestamp() - interval '1 second'"); err != nil {
			t.Fatal(err)
		}
	}
	secret := w.recover(t)
	expire()
	if _, err := w.exchange(secret, "late@example.com"); reason(err) != "INVALID_BOOTSTRAP_SECRET" {
		t.Fatalf("an expired secret = %v, want INVALID_BOOTSTRAP_SECRET", err)
	}
	secret = w.recover(t)
	if _, err := w.signUp(pass); err != nil {
		t.Fatal(err)
	}
	if _, err := w.exchange(secret, email); reason(err) != "EMAIL_TAKEN" {
		t.Fatalf("a taken address = %v, want EMAIL_TAKEN", err)
	}
	w.identity.fail(nil, errors.New("boom"))
	if _, err := w.exchange(secret, "admin@example.com"); reason(err) != "IDENTITY_UNAVAILABLE" {
		t.Fatalf("without Identity = %v, want IDENTITY_UNAVAILABLE", err)
	}
	if _, err := w.exchange(secret, "other@example.com"); reason(err) != "BOOTSTRAP_IN_PROGRESS" {
		t.Fatalf("beside a pending login = %v, want BOOTSTRAP_IN_PROGRESS", err)
	}
	w.identity.fail(nil, nil)
	expire()
	if u, err := w.exchange(secret, "admin@example.com"); err != nil || w.Related(t)[u.ConsistencyToken].Writes == nil {
		t.Fatalf("the completion = %+v, %v; want the administrator", u, err)
	}
	if _, err := w.bootstrap("first@example.com", pass); err != nil { // another secret
		t.Fatalf("the bootstrap's own secret: %v", err)
	}
}
