package cluster_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// Agents of the host without PostgreSQL end at once and are started again: what runs there goes on.
// Consul's has forgotten the certificates of the sidecars then, so that they get others.
func TestAgentRestart(t *testing.T) {
	for _, agent := range []string{"consul", "nomad"} {
		t.Run(agent, func(t *testing.T) {
			l := drillOn(t, other, func(c *cluster, l *load) {
				before := c.serials(t, other)
				c.restart(t, other, agent)
				if agent == "consul" {
					begun := time.Now()
					c.renewed(t, before, other, len(before), 2*time.Minute)
					t.Logf("%d sidecars have another certificate after %s", len(before), time.Since(begun).Round(time.Millisecond))
				}
				l.more(t, 5*perSecond)
				c.spread(t)
			})
			l.unharmed(t)
		})
	}
}

// Agents beside PostgreSQL: there is no other server that could be asked meanwhile.
func TestAgentRestartBesidePostgreSQL(t *testing.T) {
	for _, agent := range []string{"consul", "nomad"} {
		t.Run(agent, func(t *testing.T) {
			var restarted time.Time
			l := drillOn(t, withPostgres, func(c *cluster, l *load) {
				restarted = time.Now()
				c.restart(t, withPostgres, agent)
				l.more(t, 10*perSecond)
				l.calm(t, time.Minute)
				c.spread(t)
			})
			l.harmed(t, 15*time.Second, restarted)
		})
	}
}

// restart ends an agent as a service manager does, and waits until the next process runs.
func (c *cluster) restart(t *testing.T, host, agent string) {
	t.Helper()
	before := c.agent(t, host, agent)
	if err := syscall.Kill(before, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	check.Within(t, time.Minute, agent+" runs again on "+host, func() error {
		pid, err := c.findAgent(host, agent)
		if err == nil && pid == before {
			err = errors.New("it has not ended")
		}
		return err
	})
}

func (c *cluster) agent(t *testing.T, host, agent string) int {
	t.Helper()
	pid, err := c.findAgent(host, agent)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// findAgent finds the process that reads the agent's file of that host.
func (c *cluster) findAgent(host, agent string) (int, error) {
	file := filepath.Join(c.value("GATEHOUSE_CLI_CLUSTER"), host, agent+"-host.hcl")
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		words := strings.Split(string(raw), "\x00")
		if err == nil && filepath.Base(words[0]) == agent && slices.Contains(words, file) {
			return strconv.Atoi(filepath.Base(filepath.Dir(path)))
		}
	}
	return 0, fmt.Errorf("%s has no process of %s", host, agent)
}

// Envoy of an instance is killed: requests fail for 3 s at most, and cleanly.
func TestEnvoyKilled(t *testing.T) {
	var killed time.Time
	l := drill(t, func(c *cluster, l *load) {
		client := c.nomad(t)
		all := slices.DeleteFunc(c.allocations(t, client, "identity"), func(a *nomad.AllocationListStub) bool { return a.NodeName != other })
		killed = time.Now()
		c.kill(t, client, all[0].ID, "connect-proxy-"+c.value("GATEHOUSE_MESH_SERVICE_PREFIX")+"identity")
		l.more(t, 10*perSecond)
		c.spread(t)
	})
	l.harmed(t, 3*time.Second, killed)
}
