package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// programs have an instance on each client host when a drill begins.
var programs = []string{"audit", "auth", "authz", "gateway", "identity"}

// Client hosts. The first has PostgreSQL's volume.
const (
	withPostgres = "client-1"
	other        = "client-2"
)

// leastAuth is how many instances of Auth have to pass: when its feed is silent everybody with a
// token is refused.
const leastAuth = 2

// slowest is the p99 that the load may have while nothing happens, and busy how long a machine that
// others keep busy is waited for. A drill on such a one would show how others fare, not the platform.
const (
	slowest = 500 * time.Millisecond
	busy    = 3 * time.Minute
)

// drill lets something happen under load and returns what the load met. It begins with an instance
// of each program on each client host, once the undisturbed load is fast enough, and fails when Auth
// has been below leastAuth or a write has had another effect than its answer said.
func drill(t *testing.T, happens func(*cluster, *load), without ...string) *load {
	t.Helper()
	return drillOn(t, "", happens, without...)
}

// drillOn is drill for what happens to one host: of Auth's three instances it has one.
func drillOn(t *testing.T, host string, happens func(*cluster, *load), without ...string) *load {
	t.Helper()
	c := running(t)
	c.explains(t)
	c.balance(t)
	if host != "" {
		c.keepAuthFrom(t, host)
	}
	l := c.load(t, without...)
	l.undisturbed(t)
	least := c.watchAuth(t)
	happens(c, l)
	l.more(t, 3*perSecond)
	l.stop()
	t.Log(l)
	if n := least(); n < leastAuth {
		t.Errorf("Auth was down to %d passing instances", n)
	}
	l.effects(t)
	return l
}

// undisturbed waits until the load is fast enough while nothing happens.
func (l *load) undisturbed(t *testing.T) {
	t.Helper()
	for begun := time.Now(); ; {
		from := l.sent()
		l.more(t, 3*perSecond)
		p99 := quantile(l.since(from), 0.99)
		if p99 < slowest {
			t.Logf("undisturbed: p99 %s", p99.Round(time.Millisecond))
			return
		}
		t.Logf("undisturbed, but too slow: p99 %s", p99.Round(time.Millisecond))
		if time.Since(begun) > busy {
			t.Fatalf("the undisturbed load has a p99 of %s, at most %s may it have: this machine is too busy for a drill, or the platform too slow", p99.Round(time.Millisecond), slowest)
		}
	}
}

// unharmed wants no failure.
func (l *load) unharmed(t *testing.T) {
	t.Helper()
	for i, f := range l.failures {
		if i == 20 {
			t.Errorf("and %d more", len(l.failures)-i)
			break
		}
		t.Errorf("%s", f)
	}
}

// harmed wants each failure to be a clean 503 or 504, none later than so long after one of the times
// at which something happened. It prints how long requests failed each time.
func (l *load) harmed(t *testing.T, most time.Duration, happened ...time.Time) {
	t.Helper()
	for i, since := range happened {
		var until time.Time
		if i+1 < len(happened) {
			until = happened[i+1]
		}
		var count int
		var last time.Duration
		for _, f := range l.failures {
			if ended := f.at.Add(f.took); ended.Before(since) || !until.IsZero() && !ended.Before(until) {
				continue
			}
			if last = max(last, f.at.Sub(since)); !f.clean() {
				t.Errorf("not a clean refusal: %s", f)
			}
			count++
		}
		t.Logf("%d failures, the last was sent %s after it happened", count, last.Round(time.Millisecond))
		if last > most {
			t.Errorf("requests failed for %s, at most %s may they", last.Round(time.Millisecond), most)
		}
	}
	for _, f := range l.failures {
		if f.at.Add(f.took).Before(happened[0]) {
			t.Errorf("before anything happened: %s", f)
		}
	}
}

// clean is an answer that says that a part cannot be reached now: the gateway's or, when it is the
// gateway that cannot be reached, the balancer's.
func (f failure) clean() bool {
	return (f.status == http.StatusServiceUnavailable || f.status == http.StatusGatewayTimeout) &&
		(strings.Contains(f.body, `"status"`) || strings.HasPrefix(f.body, "upstream connect error") || f.body == "no healthy upstream" || f.body == "upstream request timeout")
}

// calm waits until requests have been answered well for some time.
func (l *load) calm(t *testing.T, within time.Duration) {
	t.Helper()
	const calm = 5 * time.Second
	check.Within(t, within, "requests are answered again", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if n := len(l.failures); n > 0 {
			if f := l.failures[n-1]; time.Since(f.at.Add(f.took)) < calm {
				return fmt.Errorf("%d have failed, the last %s", n, f)
			}
		}
		return nil
	})
}

// watchAuth polls how many instances of Auth pass, and returns what tells the fewest, -1 when the
// catalog never answered.
func (c *cluster) watchAuth(t *testing.T) (fewest func() int) {
	t.Helper()
	client, least := c.consul(t), atomic.Int64{}
	const unseen = 1 << 20
	least.Store(unseen)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			if hosts, err := c.passing(client, "auth"); err == nil {
				least.Store(min(least.Load(), int64(len(hosts))))
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return func() int {
		cancel()
		<-done
		if n := least.Load(); n < unseen {
			return int(n)
		}
		return -1
	}
}
