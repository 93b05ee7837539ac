package cluster_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// The host without PostgreSQL loses its power and starts again: what is on its disk is kept. The tokens
// of its sidecars are not, so that Nomad gives up their allocations after some tries and starts others.
func TestReboot(t *testing.T) {
	var failed, started time.Time
	l := drillOn(t, other, func(c *cluster, l *load) {
		heal := func() { _, _ = c.cli("host", "heal", other) }
		t.Cleanup(heal)
		serials, spaces := c.serials(t, other), []string{space(c.hosts(t)[other].PID)}
		for _, program := range programs {
			for _, a := range c.allocations(t, c.nomad(t), program) {
				if a.NodeName == other {
					spaces = append(spaces, space(c.inside(t, a).pid))
				}
			}
		}
		failed = time.Now()
		if out, err := c.cli("host", "fail", other); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		left, err := appendNamespaces(nil, "net")
		check.NoError(t, err)
		for _, gone := range spaces {
			if slices.Contains(left, gone) {
				t.Errorf("%s is there still", gone)
			}
		}
		l.more(t, 12*perSecond)
		l.calm(t, time.Minute)
		started = time.Now()
		if out, err := c.cli("host", "heal", other); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		c.renewed(t, serials, other, 0, 3*time.Minute) // nothing of before is registered
		c.settle(t, 2*time.Minute)
		t.Logf("started after %s, nothing is under way %s later", started.Sub(failed).Round(time.Second), time.Since(started).Round(time.Second))
		c.balance(t)
		c.renewed(t, serials, other, len(programs), time.Minute)
	})
	l.harmed(t, time.Minute, failed, started)
}
