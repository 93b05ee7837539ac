package logintest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// first returns the login of a first administrator to reserve.
func first(email string) login.Login {
	l := pending(email)
	l.FirstAdministrator = true
	return l
}

func reserveFirst(t *testing.T, s Stores, email string) login.Login {
	t.Helper()
	l := first(email)
	if _, reserved, err := s.Logins.Reserve(t.Context(), l, request(""), epoch, epoch.Add(time.Minute)); err != nil || !reserved {
		t.Fatalf("Reserve(%s) = %v, %v; want it reserved", email, reserved, err)
	}
	find(t, s.Logins, email, l)
	return l
}

func used(t *testing.T, s Stores, want bool) {
	t.Helper()
	if used, err := s.Logins.Bootstrapped(t.Context()); err != nil || used != want {
		t.Fatalf("Bootstrapped = %v, %v; want %v", used, err, want)
	}
}

func bootstrapOnce(t *testing.T, s Stores) { // R16
	taken := Reserved(t, s.Logins, "taken@example.com")
	existing, reserved, err := s.Logins.Reserve(t.Context(), first("taken@example.com"), request(""), epoch, epoch)
	if err != nil || reserved || existing != taken {
		t.Fatalf("Reserve of a taken address = %+v, %v, %v; want the login that has it", existing, reserved, err)
	}
	admin := reserveFirst(t, s, "admin@example.com") // the refusal before took nothing
	existing, reserved, err = s.Logins.Reserve(t.Context(), first("other@example.com"), request(""), epoch, epoch)
	if err != nil || reserved || existing != admin {
		t.Fatalf("Reserve beside a pending bootstrap = %+v, %v, %v; want the login that has it", existing, reserved, err)
	}
	missing(t, s.Logins, "other@example.com")
	used(t, s, false)
	token, err := s.Logins.Activate(t.Context(), login.NewActivation(request(""), admin.UserID, uuid.NewString()), epoch)
	if err != nil || token == "" {
		t.Fatalf("Activate = %q, %v; want the token of the relationship", token, err)
	}
	if again, err := s.Logins.Activate(t.Context(), login.NewActivation(request(""), admin.UserID, uuid.NewString()), epoch); err != nil || again != token {
		t.Fatalf("Activate again = %q, %v; want %q", again, err, token)
	}
	if related := s.Related(t); len(related) != 1 || !reflect.DeepEqual(related[token], login.Administrators(admin.UserID)) {
		t.Fatalf("relationships %+v, want %+v under %s", related, login.Administrators(admin.UserID), token)
	}
	recorded(t, s, admin.UserID)
	if err := s.Logins.Undo(t.Context(), admin.UserID); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also when the administrator is gone
		if _, _, err := s.Logins.Reserve(t.Context(), first("other@example.com"), request(""), epoch, epoch); !errors.Is(err, login.ErrBootstrapped) {
			t.Fatalf("Reserve after the bootstrap = %v, want ErrBootstrapped", err)
		}
		missing(t, s.Logins, "other@example.com")
		used(t, s, true)
		if err := s.Logins.Remove(t.Context(), admin.UserID, epoch, request(admin.UserID)); err != nil {
			t.Fatal(err)
		}
	}
}

func bootstrapFreed(t *testing.T, s Stores) {
	for i, free := range []func(userID string) error{
		func(userID string) error { return s.Logins.Undo(t.Context(), userID) },
		func(userID string) error { return s.Logins.Remove(t.Context(), userID, epoch, request(userID)) },
	} {
		l := reserveFirst(t, s, fmt.Sprintf("admin%d@example.com", i))
		if err := free(l.UserID); err != nil {
			t.Fatal(err)
		}
		missing(t, s.Logins, l.Email)
	}
	l := reserveFirst(t, s, "admin@example.com")
	claimed, err := s.Logins.Claim(t.Context(), epoch.Add(time.Hour), epoch.Add(2*time.Hour), 10)
	if err != nil || len(claimed) != 1 || claimed[0].Login != l {
		t.Fatalf("Claim = %+v, %v; want the pending administrator", claimed, err)
	}
	if related := s.Related(t); len(related) != 0 {
		t.Fatalf("relationships %+v of nobody", related)
	}
}

func bootstrapParallel(t *testing.T, s Stores) {
	const n = 8
	winners := make([]string, n)
	ctx := t.Context()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			got, _, err := s.Logins.Reserve(ctx, first(fmt.Sprintf("admin%d@example.com", i)), request(""), epoch, epoch)
			if err != nil {
				t.Error(err)
			}
			winners[i] = got.UserID
		})
	}
	wg.Wait()
	for _, w := range winners {
		if w == "" || w != winners[0] {
			t.Fatalf("callers saw different holders: %v", winners)
		}
	}
}
