package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// frozen stops a program as a hanging peer would look, and returns the function that lets it go on.
func frozen(t testing.TB, name string) (thaw func()) {
	t.Helper()
	pid := serviceOf(t, name).PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatalf("freeze %s: %v", name, err)
	}
	return func() {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Errorf("thaw %s: %v", name, err)
		}
	}
}

func unanswered(t testing.TB, r request) {
	t.Helper()
	a, err := send(plat.URL(), r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	if a.status != 503 && a.status != 504 {
		t.Errorf("%s %s with a hanging peer: %d %s, want 503 or 504", r.method, r.path, a.status, a.raw)
	}
}

// A sign-up whose Identity hangs is completed or undone afterwards, never stuck.
func TestHalfFinishedSignUpIsNotStuck(t *testing.T) {
	email := newEmail()
	thaw := frozen(t, "identity")
	defer thaw()
	unanswered(t, request{method: "POST", path: "/api/v1/auth/sign-up", body: map[string]string{"email": email, "password": password}})
	thaw()
	check.Within(t, 60*time.Second, "the address can be used", func() error {
		a, err := send(plat.URL(), request{method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": email, "password": password}})
		if err == nil && a.status == 200 {
			return nil
		}
		a, err = send(plat.URL(), request{method: "POST", path: "/api/v1/auth/sign-up", body: map[string]string{"email": email, "password": password}})
		if err == nil && a.status == 201 {
			return nil
		}
		return fmt.Errorf("%d %w %s", a.status, errOr(err), a.raw)
	})
}

// A sign-up in the middle of which Auth itself is killed is completed or undone as well.
func TestSignUpSurvivesTheDeathOfAuth(t *testing.T) {
	email := newEmail()
	thaw := frozen(t, "identity")
	defer thaw()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = send(plat.URL(), request{method: "POST", path: "/api/v1/auth/sign-up", body: map[string]string{"email": email, "password": password}})
	}()
	logins := database(t, "auth")
	check.Within(t, 5*time.Second, "the login waits for its user", func() error {
		var state string
		return logins.QueryRow(t.Context(), "select state from auth.logins where email = $1 and state = 'pending'", email).Scan(&state)
	})
	if err := syscall.Kill(serviceOf(t, "auth").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-gone
	thaw()
	check.Within(t, 60*time.Second, "healed", func() error { return roundTrip(t) })
	check.Within(t, 60*time.Second, "the address can be used", func() error {
		a, err := send(plat.URL(), request{method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": email, "password": password}})
		if err == nil && a.status == 200 {
			return nil
		}
		a, err = send(plat.URL(), request{method: "POST", path: "/api/v1/auth/sign-up", body: map[string]string{"email": email, "password": password}})
		if err == nil && a.status == 201 {
			return nil
		}
		return fmt.Errorf("%d %w %s", a.status, errOr(err), a.raw)
	})
}

// A deletion that is cut between its steps is completed: the login goes too.
func TestDeletionSurvivesACrashInBetween(t *testing.T) {
	p := signUp(t)
	thaw := frozen(t, "auth")
	defer thaw()
	unanswered(t, request{method: "DELETE", path: p.path(), bearer: p.access})
	if err := syscall.Kill(serviceOf(t, "identity").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	thaw()
	check.Within(t, 60*time.Second, "the deleted user's address is free", func() error {
		a, err := send(plat.URL(), request{method: "POST", path: "/api/v1/auth/sign-up", body: map[string]string{"email": p.email, "password": password}})
		if err != nil || a.status != 201 {
			return fmt.Errorf("%d %w %s", a.status, errOr(err), a.raw)
		}
		return nil
	})
	refused(t, "the deleted user's token", func() (answer, error) {
		return send(plat.URL(), request{method: "GET", path: p.path(), bearer: p.access})
	})
}

// Every service verifies tokens by itself: whoever reaches its loopback port with a signed-out token is refused there too, also after
// the program was restarted.
func TestServicesRefuseSignedOutTokens(t *testing.T) {
	p := signUp(t)
	ask := func() codes.Code {
		conn, err := grpc.NewClient(serviceOf(t, "identity").GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+p.access,
			"x-gatehouse-caller", meshOf(t).SPIFFE("gateway"))
		_, err = identityv1.NewUserServiceClient(conn).GetUser(ctx, &identityv1.GetUserRequest{Id: p.id})
		return status.Code(err)
	}
	if got := ask(); got != codes.OK {
		t.Fatalf("before sign-out: %s", got)
	}
	call(t, 204, request{method: "POST", path: "/api/v1/auth/sign-out", bearer: p.access})
	is := func(want codes.Code) func() error {
		return func() error {
			if got := ask(); got != want {
				return fmt.Errorf("%s, want %s", got, want)
			}
			return nil
		}
	}
	check.Within(t, 5*time.Second, "identity refuses the token", is(codes.Unauthenticated))

	before := serviceOf(t, "identity").PID
	for _, name := range []string{"identity", "gateway"} {
		if err := syscall.Kill(serviceOf(t, name).PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	check.Within(t, 30*time.Second, "both are back, and no answer was ever an acceptance", func() error {
		if got := ask(); got == codes.OK {
			t.Fatal("identity accepted a signed-out token after its restart")
		} else if got != codes.Unauthenticated || serviceOf(t, "identity").PID == before {
			return fmt.Errorf("%s", got)
		}
		a, err := send(plat.URL(), request{method: "GET", path: p.path(), bearer: p.access})
		if err == nil && a.status == 200 {
			t.Fatal("the gateway accepted a signed-out token after its restart")
		}
		if err != nil || a.status != 401 {
			return fmt.Errorf("gateway: %d %w", a.status, errOr(err))
		}
		return nil
	})
}
