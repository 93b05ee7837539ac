package cluster_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// The host without PostgreSQL is drained, as for maintenance.
func TestDrain(t *testing.T) {
	l := drillOn(t, other, func(c *cluster, _ *load) {
		node := c.node(t, other)
		open := func() { c.says(t, "nomad", "node", "drain", "-disable", "-yes", node) }
		t.Cleanup(open)
		c.says(t, "nomad", "node", "drain", "-enable", "-deadline", "5m", "-yes", node)
		client := c.nomad(t)
		for _, program := range programs {
			for _, a := range c.allocations(t, client, program) {
				if a.NodeName == other {
					t.Errorf("%s is on the drained host still", program)
				}
			}
		}
	})
	l.unharmed(t)
}

// reachable wants an instance of each program on the host to pass, and the site to be healthy: every
// sidecar of the host has reconnected.
func (c *cluster) reachable(t *testing.T, host string, within time.Duration) {
	t.Helper()
	client := c.consul(t)
	check.Within(t, within, "the site is whole", func() error {
		nodes, _, err := client.Health().Node(host, nil)
		if err != nil {
			return err
		}
		if status := nodes.AggregatedStatus(); status != "passing" {
			return fmt.Errorf("%s is %s", host, status)
		}
		for _, program := range programs {
			all, err := c.catalog(client, program)
			if err != nil {
				return err
			}
			for _, i := range all {
				if !i.ok {
					return fmt.Errorf("%s on %s does not pass", program, i.host)
				}
			}
		}
		if out, err := c.cli("status"); err != nil {
			return errors.New(out)
		}
		return nil
	})
}

// The link of the host without PostgreSQL is cut and mended.
func TestLinkCut(t *testing.T) {
	var cut, mended time.Time
	l := drillOn(t, other, func(c *cluster, l *load) {
		heal := func() { _, _ = c.cli("host", "heal", other) }
		t.Cleanup(heal)
		cut = time.Now()
		if out, err := c.cli("host", "fail", other, "--link"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		l.more(t, 12*perSecond)
		l.calm(t, time.Minute)
		mended = time.Now()
		if out, err := c.cli("host", "heal", other); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		c.reachable(t, other, time.Minute)
		t.Logf("mended after %s, whole %s later", mended.Sub(cut).Round(time.Second), time.Since(mended).Round(time.Millisecond))
	})
	l.harmed(t, time.Minute, cut, mended)
}
