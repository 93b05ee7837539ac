package login_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

const wrong = "wrong horse battery staple"

// from is a sign-in by a client of an address.
func from(ctx context.Context, address string) context.Context {
	e := postgrestest.Event("auth.signed_in")
	e.ClientAddress = address
	return event.NewContext(ctx, e)
}

// tries signs in some times and fails the test when it is not answered as wanted each time.
func tries(t *testing.T, s *login.Service, times int, address string, c login.Credentials, want string) {
	t.Helper()
	for i := range times {
		if _, _, err := s.Authenticate(from(t.Context(), address), c); reason(err) != want {
			t.Fatalf("attempt %d of %+v from %s: %v, want %q", i+1, c, address, err, want)
		}
	}
}

const refusal = "INVALID_CREDENTIALS"

func signedUp(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	if _, err := w.signUp(pass); err != nil {
		t.Fatal(err)
	}
	return w
}

// Ten failures are free. Then each costs a wait of twice as long, fifteen minutes at most, in which
// the right password is refused like a wrong one, and a success forgets them all.
func TestFailuresCostWaits(t *testing.T) { // R7
	w := signedUp(t)
	good, bad := login.Credentials{Email: email, Password: pass}, login.Credentials{Email: "Ada@Example.com", Password: wrong}
	tries(t, w.Service, throttle.FreeFailures, "192.0.2.1", bad, refusal)
	for _, wait := range []time.Duration{30, 60, 120, 240, 480, 900, 900} {
		tries(t, w.Service, 1, "192.0.2.2", good, refusal)
		w.now = w.now.Add(wait*time.Second - time.Millisecond)
		tries(t, w.Service, 1, "192.0.2.2", good, refusal) // and is not counted
		w.now = w.now.Add(time.Millisecond)
		tries(t, w.Service, 1, "192.0.2.1", bad, refusal) // the next failure
	}
	w.now = w.now.Add(throttle.LongestWait)
	tries(t, w.Service, 1, "192.0.2.2", good, "")
	tries(t, w.Service, throttle.FreeFailures-1, "192.0.2.1", bad, refusal)
	tries(t, w.Service, 1, "192.0.2.2", good, "")
}

// Another instance, and one that was started anew, know of the failures.
func TestInstancesShareCounters(t *testing.T) {
	w := signedUp(t)
	bad := login.Credentials{Email: email, Password: wrong}
	tries(t, w.Service, throttle.FreeFailures/2, "192.0.2.1", bad, refusal)
	tries(t, w.with(t, cheap), throttle.FreeFailures/2, "192.0.2.1", bad, refusal)
	tries(t, w.with(t, cheap), 1, "192.0.2.1", login.Credentials{Email: email, Password: pass}, refusal)
}

// Of many guesses at the same moment no more are free than of the same ones one after the other, and
// many sign-ins of one person at the same moment are no guesses.
func TestAttemptsAtOnce(t *testing.T) { // R7
	w := signedUp(t)
	guard := w.Throttled(func() time.Time { return w.now })
	l, err := w.store.ByEmail(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	atOnce := func(userID string) (succeeded int) {
		t.Helper()
		var all sync.WaitGroup
		var mu sync.Mutex
		for range 40 {
			all.Go(func() {
				ok, err := guard.Settle(t.Context(), throttle.Attempt{Factor: "password", Account: email, Address: "192.0.2.1", UserID: userID})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if ok {
					succeeded++
				}
			})
		}
		all.Wait()
		return succeeded
	}
	failures := func() (n int) {
		t.Helper()
		if err := w.Pool.QueryRow(t.Context(), `select max(count) from auth.failures where blocked_until > update_time`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := atOnce(l.UserID); n != 40 {
		t.Fatalf("%d of 40 sign-ins succeeded", n)
	}
	for _, want := range []int{throttle.FreeFailures, throttle.FreeFailures + 1} {
		atOnce("")
		if n := failures(); n != want {
			t.Fatalf("%d guesses were judged, want %d", n, want)
		}
		if n := atOnce(l.UserID); n != 0 {
			t.Fatalf("%d sign-ins succeeded that should have waited", n)
		}
		w.now = w.now.Add(throttle.FirstWait)
	}
}

// Strangers' failures keep nobody out who comes with a device of their own, which has a counter of
// its own.
func TestAKnownDeviceDoesNotWaitForStrangers(t *testing.T) { // R8
	w := signedUp(t)
	mine := login.Credentials{Email: email, Password: pass, Device: "my device"}
	tries(t, w.Service, 1, "192.0.2.2", mine, "")
	tries(t, w.Service, throttle.FreeFailures, "192.0.2.1", login.Credentials{Email: email, Password: wrong, Device: "theirs"}, refusal)
	tries(t, w.Service, 1, "192.0.2.2", login.Credentials{Email: email, Password: pass, Device: "another"}, refusal)
	tries(t, w.Service, 1, "192.0.2.2", login.Credentials{Email: email, Password: pass}, refusal)
	tries(t, w.Service, 2, "192.0.2.2", mine, "")

	tries(t, w.Service, 1, "192.0.2.1", login.Credentials{Email: email, Password: pass, Device: "theirs"}, refusal) // still

	tries(t, w.Service, throttle.FreeFailures, "192.0.2.2", login.Credentials{Email: email, Password: wrong, Device: "my device"}, refusal)
	tries(t, w.Service, 1, "192.0.2.2", mine, refusal)
	w.now = w.now.Add(throttle.FirstWait)
	tries(t, w.Service, 1, "192.0.2.2", mine, "")
	tries(t, w.Service, 1, "192.0.2.2", login.Credentials{Email: email, Password: pass, Device: "another"}, "") // after the strangers' wait
}

// A device is known to the account that was signed in to, and to no other.
func TestADeviceIsKnownToItsAccount(t *testing.T) {
	w := signedUp(t)
	if _, err := w.SignUp(signingUp(t.Context()), login.SignUp{Email: "eve@example.com", Password: pass}); err != nil {
		t.Fatal(err)
	}
	tries(t, w.Service, 1, "192.0.2.1", login.Credentials{Email: "eve@example.com", Password: pass, Device: "hers"}, "")
	tries(t, w.Service, throttle.FreeFailures, "192.0.2.1", login.Credentials{Email: email, Password: wrong}, refusal)
	tries(t, w.Service, 1, "192.0.2.1", login.Credentials{Email: email, Password: pass, Device: "hers"}, refusal)
}

// One password for a thousand accounts meets the platform's budget, from one address and from many.
// Then known devices and addresses from which nothing failed still sign in, and ten minutes later all.
func TestThePlatformHasABudgetOfFailures(t *testing.T) { // R9
	for name, addresses := range map[string]int{"one address": 1, "two hundred": 200} {
		t.Run(name, func(t *testing.T) {
			w := signedUp(t)
			good, mine := login.Credentials{Email: email, Password: pass}, login.Credentials{Email: email, Password: pass, Device: "my device"}
			tries(t, w.Service, 1, "127.0.0.1", mine, "")
			judged := 1000
			guard := w.Throttled(func() time.Time { return w.now })
			guard.Throttled = func(by string) {
				if by == "budget" {
					judged--
				}
			}
			for i := range 1000 {
				a := throttle.Attempt{Factor: "password", Account: fmt.Sprintf("%d@example.com", i), Address: fmt.Sprintf("127.0.0.%d", 1+i%addresses)}
				if _, err := guard.Settle(t.Context(), a); err != nil {
					t.Fatal(err)
				}
			}
			if most := guard.Budget + addresses; judged < guard.Budget || judged > most {
				t.Fatalf("%d guesses were judged, want %d to %d", judged, guard.Budget, most)
			}
			tries(t, w.Service, 1, "127.0.0.1", good, refusal)
			tries(t, w.Service, 1, "127.0.0.1", mine, "")
			tries(t, w.Service, 1, "198.51.100.7", good, "")
			w.now = w.now.Add(10 * time.Minute)
			tries(t, w.Service, 1, "127.0.0.1", good, "")
		})
	}
}

// busy is a hasher whose queue is full.
type busy struct{ login.Hasher }

var errBusy = errors.New("busy")

func (busy) Verify(context.Context, string, string) (bool, bool, error) { return false, false, errBusy }
func (busy) VerifyNobody(context.Context, string) error                 { return errBusy }

// Who is told to come back has not failed.
func TestAFullQueueIsNoFailure(t *testing.T) {
	w := signedUp(t)
	full := w.hashing(busy{w.Hasher})
	for range 3 * throttle.FreeFailures {
		if _, _, err := full.Authenticate(from(t.Context(), "192.0.2.1"), login.Credentials{Email: email, Password: pass}); !errors.Is(err, errBusy) {
			t.Fatal(err)
		}
	}
	tries(t, w.Service, throttle.FreeFailures-1, "192.0.2.1", login.Credentials{Email: email, Password: wrong}, refusal)
	tries(t, w.Service, 1, "192.0.2.1", login.Credentials{Email: email, Password: pass}, "")
}

// The old password is guessed no faster than that of a sign-in, and does not delay the sign-ins.
func TestTheOldPasswordIsThrottledOnItsOwn(t *testing.T) {
	w := signedUp(t)
	l, err := w.store.ByEmail(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	change := func(old string) string {
		e := postgrestest.Event("auth.password_changed")
		_, err := w.ChangePassword(t.Context(), login.PasswordChange{UserID: l.UserID, Old: old, New: "another phrase of mine", Event: e})
		return reason(err)
	}
	for range throttle.FreeFailures {
		if got := change(wrong); got != refusal {
			t.Fatal(got)
		}
	}
	if got := change(pass); got != refusal {
		t.Fatalf("after ten failures: %q", got)
	}
	tries(t, w.Service, 1, "192.0.2.1", login.Credentials{Email: email, Password: pass}, "")
	w.now = w.now.Add(throttle.FirstWait)
	if got := change(pass); got != "" {
		t.Fatalf("after the wait: %q", got)
	}
}

// statements notes what is sent to the database.
type statements struct{ sent []string }

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	s.sent = append(s.sent, q.SQL)
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Unknown, wrong, pending, suspended and throttled cost the same statements, in the same order.
func TestRefusalsSendTheSameStatements(t *testing.T) { // R10, R11
	w := signedUp(t)
	out, err := w.SignUp(signingUp(t.Context()), login.SignUp{Email: "suspended@example.com", Password: pass})
	if err == nil {
		err = w.Suspend(event.NewContext(t.Context(), postgrestest.Event("auth.login_suspended")), out.ID, 2)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.identity.fail(apierr.New(apierr.Unavailable, "DOWN", "down"), nil)
	if _, err := w.SignUp(signingUp(t.Context()), login.SignUp{Email: "pending@example.com", Password: pass}); err == nil {
		t.Fatal("the pending sign-up succeeded")
	}
	traced := &statements{}
	config := w.Pool.Config()
	config.ConnConfig.Tracer = traced
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	params := w.Params
	params.Store = postgres.NewLogins(pool, w.Outbox, w.Mails)
	params.Throttle = throttle.New(throttle.Params{
		Store: postgres.NewFailures(pool), Budget: 300, NewID: uuid.NewString, Now: w.Now, Throttled: func(string) {},
	})
	s := login.NewService(params)
	var want []string
	for _, c := range []struct {
		name string
		login.Credentials
		before int // failures
	}{
		{"wrong", login.Credentials{Email: email, Password: wrong}, 0},
		{"unknown", login.Credentials{Email: "nobody@example.com", Password: pass}, 0},
		{"an address nobody can have", login.Credentials{Email: "ada@example.com\x00", Password: pass}, 0},
		{"pending", login.Credentials{Email: "pending@example.com", Password: pass}, 0},
		{"suspended", login.Credentials{Email: "suspended@example.com", Password: pass}, 0},
		{"throttled", login.Credentials{Email: email, Password: pass}, throttle.FreeFailures},
		{"throttled, of nobody", login.Credentials{Email: "nobody@example.com", Password: pass}, throttle.FreeFailures},
		{"throttled, of a new device", login.Credentials{Email: email, Password: pass, Device: "new"}, 0},
	} {
		tries(t, s, c.before, "192.0.2.1", login.Credentials{Email: c.Email, Password: wrong}, refusal)
		traced.sent = nil
		tries(t, s, 1, "192.0.2.1", c.Credentials, refusal)
		if want == nil {
			want = traced.sent
		}
		if len(want) != 2 || !slices.Equal(traced.sent, want) {
			t.Errorf("%s: %d statements %q, want %q", c.name, len(traced.sent), traced.sent, want)
		}
	}
}
