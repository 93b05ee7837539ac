package e2e_test

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// A restart of Consul is not a reason to refuse anything: sidecars go on with what they know
// meanwhile, and what the new agent tells them is that everything is as healthy as it is. Envoy
// comes back to it some seconds later.
func TestConsulsRestartGoesUnnoticed(t *testing.T) {
	client := consul(t)
	check.Within(t, 30*time.Second, "what tests before have killed is healthy again", func() error {
		checks, _, err := client.Health().State(api.HealthAny, nil)
		for _, c := range checks {
			if c.Status != api.HealthPassing {
				return fmt.Errorf("%s is %s: %s", c.CheckID, c.Status, c.Output)
			}
		}
		return err
	})
	pid := victimPID(t, "consul")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	over := time.After(15 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	asked, looked := 0, 0
	for {
		select {
		case <-over:
			if asked == 0 || looked == 0 {
				t.Errorf("asked %d times, saw Consul's checks %d times", asked, looked)
			}
			if now := victimPID(t, "consul"); now == 0 || now == pid {
				t.Errorf("Consul is process %d, was %d", now, pid)
			}
			return
		case <-tick.C:
		}
		a, err := send(plat.URL(), request{method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": "nobody@example.com", "password": password}})
		if err != nil || a.status != http.StatusUnauthorized {
			t.Fatalf("request %d: %d %v %s, want 401", asked, a.status, errOr(err), a.raw)
		}
		asked++
		checks, _, err := client.Health().State(api.HealthAny, nil)
		if err != nil {
			continue // not there yet
		}
		looked++
		for _, c := range checks {
			if c.Status != api.HealthPassing {
				t.Errorf("%s is %s: %s", c.CheckID, c.Status, c.Output)
			}
		}
	}
}
