package e2e_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// twoInstances finds two instances of Identity and of Auth at work, and kills those of Identity one
// after the other.
func twoInstances(t *testing.T, p *platform.Platform) {
	who := personAt(t, p.URL())
	read := request{method: "GET", path: who.path(), bearer: who.access}
	for _, id := range []string{"identity", "identity-2", "auth", "auth-2"} {
		a, err := send("http://"+instance(t, p, id).HTTP, request{method: "GET", path: "/readyz"})
		if err != nil || a.status != http.StatusOK {
			t.Errorf("%s is not ready: %d %v %s", id, a.status, err, a.raw)
		}
	}
	bothAreAsked(t, p, read)
	for _, victim := range []string{"identity-2", "identity"} { // one of them leads the outbox
		survives(t, p, who, victim)
		bothAreAsked(t, p, read)
	}

	// A sign-out at one instance of Auth is known to those who follow the other one, within 5 s (R22).
	if a, err := send(p.URL(), request{method: "POST", path: "/api/v1/auth/sign-out", bearer: who.access}); err != nil || a.status != http.StatusNoContent {
		t.Fatalf("sign-out: %d %v %s", a.status, err, a.raw)
	}
	check.Within(t, 5*time.Second, "every instance knows of the sign-out", func() error {
		for range 10 {
			if a, err := send(p.URL(), read); err != nil || a.status != http.StatusUnauthorized {
				return fmt.Errorf("%d %w %s", a.status, errOr(err), a.raw)
			}
		}
		return nil
	})
}

// personAt signs up and in at any platform.
func personAt(t *testing.T, base string) person {
	t.Helper()
	who := person{email: newEmail()}
	credentials := map[string]string{"email": who.email, "password": password}
	up, err := send(base, request{method: "POST", path: "/api/v1/auth/sign-up", body: credentials})
	if err != nil || up.status != http.StatusCreated {
		t.Fatalf("sign-up: %d %v %s", up.status, err, up.raw)
	}
	user, _ := up.body["user"].(map[string]any)
	who.id, _ = user["id"].(string)
	in, err := send(base, request{method: "POST", path: "/api/v1/auth/sign-in", body: credentials})
	if err != nil || in.status != http.StatusOK {
		t.Fatalf("sign-in: %d %v %s", in.status, err, in.raw)
	}
	who.access, _ = in.body["access_token"].(string)
	return who
}

// bothAreAsked makes calls until each instance of Identity has answered some.
func bothAreAsked(t *testing.T, p *platform.Platform, read request) {
	t.Helper()
	first, second := instance(t, p, "identity"), instance(t, p, "identity-2")
	before := [2]float64{answered(t, first), answered(t, second)}
	check.Within(t, 30*time.Second, "both instances are asked", func() error {
		for range 8 {
			if a, err := send(p.URL(), read); err != nil || a.status != http.StatusOK {
				return fmt.Errorf("%d %w %s", a.status, errOr(err), a.raw)
			}
		}
		if a, b := answered(t, first)-before[0], answered(t, second)-before[1]; a < 4 || b < 4 {
			return fmt.Errorf("one answered %g calls, the other %g", a, b)
		}
		return nil
	})
}

// answered is how many reads of a user an instance of Identity has answered.
func answered(t *testing.T, s platform.Service) float64 {
	t.Helper()
	a, err := send("http://"+s.HTTP, request{method: "GET", path: "/metrics"})
	check.NoError(t, err)
	sum := 0.0
	for lines := bufio.NewScanner(bytes.NewReader(a.raw)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "} ")
		if strings.HasPrefix(name, "grpc_server_handled_total{") && strings.Contains(name, `"GetUser"`) {
			n, err := strconv.ParseFloat(value, 64)
			check.NoError(t, err)
			sum += n
		}
	}
	return sum
}

func instance(t *testing.T, p *platform.Platform, id string) platform.Service {
	t.Helper()
	s, err := p.Service(id)
	check.NoError(t, err)
	return s
}

// drill is the load while an instance is killed.
type drill struct {
	base                                     string
	who                                      person
	reads, writes, failedReads, failedWrites atomic.Int64

	killed atomic.Bool
	last   atomic.Value // request id of a write that was acknowledged after the kill
}

// run makes calls until stop is closed. They may be answered 503; nothing else may fail.
func (d *drill) run(t *testing.T, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		if n%4 > 0 {
			a, err := send(d.base, request{method: "GET", path: d.who.path(), bearer: d.who.access})
			d.reads.Add(1)
			switch {
			case err == nil && a.status == http.StatusServiceUnavailable:
				d.failedReads.Add(1)
			case err != nil || a.status != http.StatusOK:
				t.Errorf("a read: %d %v %s", a.status, err, a.raw)
			}
			continue
		}
		after := d.killed.Load()
		name := fmt.Sprint("Eva ", d.writes.Add(1)) // of this write alone: one that changes nothing is not recorded
		a, err := send(d.base, request{method: "PATCH", path: d.who.path(), bearer: d.who.access, body: map[string]string{"display_name": name}})
		switch {
		case err == nil && a.status == http.StatusServiceUnavailable:
			d.failedWrites.Add(1)
		case err != nil || a.status != http.StatusOK:
			t.Errorf("a write: %d %v %s", a.status, err, a.raw)
		case after:
			d.last.Store(a.header.Get("X-Request-Id"))
		}
	}
}

// survives kills an instance under load. What it had in hand, or was sent until its callers'
// sidecars left it alone, fails, unless it is a read that is tried again in time. What was
// acknowledged is recorded.
func survives(t *testing.T, p *platform.Platform, who person, victim string) {
	t.Helper()
	d := &drill{base: p.URL(), who: who}
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 3 {
		load.Go(func() { d.run(t, stop) })
	}
	check.Eventually(t, "load", func() bool { return d.reads.Load() >= 20 && d.writes.Load() >= 5 })
	before := instance(t, p, victim).PID
	killHard(t, before)
	d.killed.Store(true)
	check.Within(t, 60*time.Second, victim+" is back", func() error {
		if s := instance(t, p, victim); s.PID == before || s.PID == 0 || s.Health != "passing" {
			return fmt.Errorf("%s is %d and %s", victim, s.PID, s.Health)
		}
		return nil
	})
	close(stop)
	load.Wait()
	t.Logf("%s killed: %d of %d reads and %d of %d writes failed", victim, d.failedReads.Load(), d.reads.Load(), d.failedWrites.Load(), d.writes.Load())
	if d.failedReads.Load()+d.failedWrites.Load() > 20 {
		t.Error("these are more than it can have been sent")
	}
	written, _ := d.last.Load().(string)
	check.Within(t, 30*time.Second, "what was acknowledged after the kill is recorded", func() error {
		found, err := send(p.URL(), request{method: "GET", bearer: who.access,
			path: "/api/v1/audit/events?" + url.Values{"object_id": {who.id}, "request_id": {written}}.Encode()})
		if err != nil || found.status != http.StatusOK || written == "" || !strings.Contains(string(found.raw), written) {
			return fmt.Errorf("%q: %d %w %s", written, found.status, errOr(err), found.raw)
		}
		return nil
	})
}
