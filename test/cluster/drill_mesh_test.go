package cluster_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// gatehouse runs the operator's command against the cluster.
func (c *cluster) gatehouse(t *testing.T, args ...string) string {
	t.Helper()
	return c.says(t, filepath.Join(c.root, ".bin", "gatehouse"), args...)
}

// The bad day of somebody else: to deny a pair and to allow it again costs nobody a request.
func TestDenyAndResetOfAnUnrelatedPair(t *testing.T) {
	l := drill(t, func(c *cluster, l *load) {
		t.Cleanup(func() { c.gatehouse(t, "mesh", "reset", "authz", "audit") })
		c.gatehouse(t, "mesh", "deny", "authz", "audit", "--reason", "drill")
		l.more(t, 5*perSecond)
		c.gatehouse(t, "mesh", "reset", "authz", "audit")
	})
	l.unharmed(t)
}

// A denial is effective within 2 s, and harms nobody else.
func TestADenialIsEffective(t *testing.T) {
	l := drill(t, func(c *cluster, l *load) {
		who := l.people[0]
		until := func(wanted bool) time.Duration {
			t.Helper()
			begun := time.Now()
			check.Within(t, 2*time.Second, "the change takes effect", func() error {
				status, body := l.ask(http.MethodGet, "/api/v1/audit/events?page_size=5&actor_id="+who.id, *who.access.Load(), "")
				if (status == http.StatusOK) != wanted {
					return fmt.Errorf("it answers %d %s", status, body)
				}
				return nil
			})
			return time.Since(begun)
		}
		t.Cleanup(func() { c.gatehouse(t, "mesh", "reset", "gateway", "audit") })
		c.gatehouse(t, "mesh", "deny", "gateway", "audit", "--reason", "drill")
		t.Logf("denied after %s", until(false))
		c.gatehouse(t, "mesh", "reset", "gateway", "audit")
		t.Logf("allowed again after %s", until(true))
	}, trail)
	l.unharmed(t)
}
