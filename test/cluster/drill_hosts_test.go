package cluster_test

import (
	"slices"
	"testing"
	"time"

	nomad "github.com/hashicorp/nomad/api"
)

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
	l.harmed(t, killed, 3*time.Second)
}
