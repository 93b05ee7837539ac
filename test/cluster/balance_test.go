package cluster_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// instance is one that the catalog or Nomad has of a program.
type instance struct {
	host string
	ok   bool // it passes its checks; it runs
}

// catalog has the instances of a program, also those that fail.
func (c *cluster) catalog(client *consul.Client, program string) ([]instance, error) {
	entries, _, err := client.Health().Service(c.value("GATEHOUSE_MESH_SERVICE_PREFIX")+program, "", false, &consul.QueryOptions{RequireConsistent: true})
	var all []instance
	for _, entry := range entries {
		all = append(all, instance{entry.Node.Node, entry.Checks.AggregatedStatus() == consul.HealthPassing})
	}
	return all, err
}

// passing are the hosts of the healthy instances of a program, once for each.
func (c *cluster) passing(client *consul.Client, program string) ([]string, error) {
	all, err := c.catalog(client, program)
	var hosts []string
	for _, i := range all {
		if i.ok {
			hosts = append(hosts, i.host)
		}
	}
	return hosts, err
}

// settled are the hosts of a program's instances, once for each, when Nomad and the catalog agree:
// as many as the job wants run, all of them pass, and what was stopped is gone from both.
func (c *cluster) settled(t *testing.T, catalog *consul.Client, scheduler *nomad.Client, program string) (hosts []string, err error) {
	t.Helper()
	job, _, err := scheduler.Jobs().Info(program, nil)
	check.NoError(t, err)
	all, _, err := scheduler.Jobs().Allocations(program, false, nil)
	check.NoError(t, err)
	for _, a := range all {
		switch {
		case a.ClientStatus == nomad.AllocClientStatusRunning && a.DesiredStatus == nomad.AllocDesiredStatusRun:
			hosts = append(hosts, a.NodeName)
		case a.ClientStatus == nomad.AllocClientStatusRunning || a.ClientStatus == nomad.AllocClientStatusPending:
			return nil, fmt.Errorf("%s: allocation %s is %s, it should %s", program, a.ID[:8], a.ClientStatus, a.DesiredStatus)
		}
	}
	registered, err := c.catalog(catalog, program)
	check.NoError(t, err)
	if want := *job.TaskGroups[0].Count; len(hosts) != want || len(registered) != want {
		return nil, fmt.Errorf("%s: %d run and the catalog has %d, want %d", program, len(hosts), len(registered), want)
	}
	for _, i := range registered {
		if !i.ok {
			return nil, fmt.Errorf("%s: the instance on %s does not pass its checks", program, i.host)
		}
	}
	return hosts, nil
}

// spread wants a healthy instance of each program on each client host, and nothing under way.
func (c *cluster) spread(t *testing.T) {
	t.Helper()
	catalog, scheduler := c.consul(t), c.nomad(t)
	check.Within(t, 90*time.Second, "an instance of each program on each client host", func() error {
		for _, program := range programs {
			hosts, err := c.settled(t, catalog, scheduler, program)
			if err != nil {
				return err
			}
			if !slices.Contains(hosts, withPostgres) || !slices.Contains(hosts, other) {
				return fmt.Errorf("%s is on %q", program, hosts)
			}
		}
		return nil
	})
}

// balance brings an instance of each program to each client host again, as the operations guide says:
// Nomad leaves them where a drain or a host's end has put them.
func (c *cluster) balance(t *testing.T) {
	t.Helper()
	crowded := map[string][]string{} // programs by the host that has all of their instances
	for program, hosts := range c.settle(t, 2*time.Minute) {
		if slices.Sort(hosts); hosts[0] == hosts[len(hosts)-1] {
			crowded[hosts[0]] = append(crowded[hosts[0]], program)
		}
	}
	for host, names := range crowded {
		c.move(t, host, names)
	}
	c.spread(t)
}

// keepAuthFrom leaves one instance of Auth on a host, and two on the other.
func (c *cluster) keepAuthFrom(t *testing.T, host string) {
	t.Helper()
	hosts := c.settle(t, 2*time.Minute)["auth"]
	if slices.Sort(hosts); len(hosts) != leastAuth+1 {
		t.Fatalf("Auth is on %q, want %d instances", hosts, leastAuth+1)
	} else if hosts[1] == host { // two of three
		c.move(t, host, []string{"auth"})
	}
	c.spread(t)
}

// settle returns the hosts of each program's instances, once nothing is under way.
func (c *cluster) settle(t *testing.T, within time.Duration) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	check.Within(t, within, "nothing is under way", func() (err error) {
		for _, program := range programs {
			if all[program], err = c.settled(t, c.consul(t), c.nomad(t), program); err != nil {
				return err
			}
		}
		return nil
	})
	return all
}

// move stops an instance of each of the programs on a host, which takes none meanwhile, and waits until
// those that are started instead are as good.
func (c *cluster) move(t *testing.T, host string, names []string) {
	t.Helper()
	scheduler := c.nomad(t)
	c.closed(t, host, func() {
		var stopped []string
		for _, name := range names {
			all := c.allocations(t, scheduler, name)
			i := slices.IndexFunc(all, func(a *nomad.AllocationListStub) bool { return a.NodeName == host })
			_, err := scheduler.Allocations().Stop(&nomad.Allocation{ID: all[i].ID}, nil)
			check.NoError(t, err)
			stopped = append(stopped, all[i].ID)
		}
		check.Within(t, 2*time.Minute, fmt.Sprintf("%q have come from %s", names, host), func() error {
			for i, name := range names {
				if a, _, err := scheduler.Allocations().Info(stopped[i], nil); err != nil || a.DesiredStatus == nomad.AllocDesiredStatusRun {
					return fmt.Errorf("%s is to be stopped still: %w", name, err)
				}
				if _, err := c.settled(t, c.consul(t), scheduler, name); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// closed does something while a host takes no new allocations.
func (c *cluster) closed(t *testing.T, host string, do func()) {
	t.Helper()
	c.says(t, "nomad", "node", "eligibility", "-disable", c.node(t, host))
	open := func() { c.says(t, "nomad", "node", "eligibility", "-enable", c.node(t, host)) }
	t.Cleanup(open)
	do()
	open()
}

// node is the id that Nomad has given a host.
func (c *cluster) node(t *testing.T, host string) string {
	t.Helper()
	all, _, err := c.nomad(t).Nodes().List(nil)
	check.NoError(t, err)
	for _, n := range all {
		if n.Name == host && n.Status != nomad.NodeStatusDown {
			return n.ID
		}
	}
	t.Fatalf("Nomad has no host %s that is up: %d others", host, len(all))
	return ""
}
