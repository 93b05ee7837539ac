package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// serving asks a program's own port for its health, as grpcurl would.
func serving(address string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	resp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	if resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("health is %s", resp.GetStatus())
	}
	return nil
}

func healthy(t testing.TB) error {
	t.Helper()
	client := consul(t)
	for _, p := range programs(t) {
		if err := wantCheck(client, p.Name, "passing"); err != nil {
			return err
		}
	}
	for _, s := range platformStatus(t).Services {
		if s.GRPC == "" {
			continue
		}
		if err := serving(s.GRPC); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	resp, err := http.Get(plat.URL() + "/readyz")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("gateway /readyz answers %d", resp.StatusCode)
	}
	return nil
}

func TestHealth(t *testing.T) {
	check.Within(t, 15*time.Second, "every program is healthy", func() error { return healthy(t) })
}

// A service without its database turns critical in Consul and comes back by itself. The server is
// frozen, not killed, so that the supervisor does not fix it first.
func TestHealthFollowsTheDatabase(t *testing.T) {
	client := consul(t)
	pid := serviceOf(t, "postgres").PID
	kill := func(sig syscall.Signal) {
		for _, child := range append(descendants(t, pid), pid) {
			if err := syscall.Kill(child, sig); err != nil && err != syscall.ESRCH {
				t.Fatalf("signal %d: %v", child, err)
			}
		}
	}
	kill(syscall.SIGSTOP)
	defer kill(syscall.SIGCONT)
	all := func(want string) func() error {
		return func() error {
			var problems []error
			for _, name := range stores(t) {
				problems = append(problems, wantCheck(client, name, want))
			}
			return errors.Join(problems...)
		}
	}
	check.Within(t, 15*time.Second, "all are critical without their database", all("critical"))
	kill(syscall.SIGCONT)
	check.Within(t, 30*time.Second, "all are passing again", all("passing"))
	check.Within(t, 30*time.Second, "sign-up works again", func() error { return roundTrip(t) })
}

// roundTrip is one whole request through every part of the platform: the last answer needs the relationships of the sign-up in Authz, and
// the one before them the sign-up's event in Audit.
func roundTrip(t testing.TB) error {
	t.Helper()
	base := plat.URL()
	email := newEmail()
	up, err := send(base, request{method: "POST", path: "/api/v1/auth/sign-up", body: map[string]string{"email": email, "password": password}})
	if err != nil || up.status != 201 {
		return fmt.Errorf("sign-up: %d %w %s", up.status, errOr(err), up.raw)
	}
	in, err := send(base, request{method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": email, "password": password}})
	if err != nil || in.status != 200 {
		return fmt.Errorf("sign-in: %d %w %s", in.status, errOr(err), in.raw)
	}
	user, _ := up.body["user"].(map[string]any)
	p := person{id: fmt.Sprint(user["id"]), email: email}
	p.access, _ = in.body["access_token"].(string)
	a, err := send(base, request{method: "GET", path: p.path(), bearer: p.access})
	if err != nil || a.status != 200 {
		return fmt.Errorf("get: %d %w %s", a.status, errOr(err), a.raw)
	}
	if err := recorded(p, "auth.signed_up"); err != nil {
		return err
	}
	me, err := send(base, request{method: "GET", path: "/api/v1/me", bearer: p.access, header: map[string]string{tokenHeader: up.header.Get(tokenHeader)}})
	if err != nil || me.status != 200 || !strings.Contains(string(me.raw), "can_update") {
		return fmt.Errorf("me: %d %w %s", me.status, errOr(err), me.raw)
	}
	return nil
}

// recorded waits some seconds for an event of what was done to a person.
func recorded(p person, action string) error {
	over := time.After(5 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		found, err := events(p, url.Values{"object_id": {p.id}, "action": {action}})
		if err != nil || len(found) > 0 {
			return err
		}
		select {
		case <-over:
			return fmt.Errorf("no event %s of %s has arrived", action, p.id)
		case <-tick.C:
		}
	}
}
