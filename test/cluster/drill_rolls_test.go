package cluster_test

import (
	"testing"
	"time"

	nomad "github.com/hashicorp/nomad/api"
)

// slowest is the p99 that the load may have while nothing happens.
const slowest = 500 * time.Millisecond

func TestUndisturbed(t *testing.T) {
	l := drill(t, func(_ *cluster, l *load) { l.more(t, 10*perSecond) })
	l.unharmed(t)
	if p99 := l.quantile(0.99); p99 > slowest {
		t.Errorf("p99 is %s, at most %s may it be", p99, slowest)
	}
}

// The load sees what happens: instances that end without a drain fail its requests.
func TestKillsWithoutDrainAreCounted(t *testing.T) {
	l := drill(t, func(c *cluster, _ *load) {
		client := c.nomad(t)
		for _, a := range c.allocations(t, client, "identity") {
			c.kill(t, client, a.ID, "serve")
		}
		c.spread(t)
	})
	if len(l.failures) == 0 {
		t.Error("the load has not seen that every instance of identity was killed")
	}
}

// Every program is rolled to another folder of programs and back without a failed request.
func TestRolls(t *testing.T) {
	counts := map[string]int{"identity": 2, "authz": 2, "audit": 2, "auth": 3, "gateway": 2}
	for _, job := range []string{"identity", "authz", "audit", "auth", "gateway"} {
		t.Run(job, func(t *testing.T) {
			l := drill(t, func(c *cluster, _ *load) {
				for _, folder := range []string{c.build(t, "v2", nil), "/opt/gatehouse/bin"} {
					before := c.version(t, job)
					version := c.submit(t, job, "-var", "programs="+folder)
					if version == before {
						t.Fatalf("version %d of %s is the same", version, job)
					}
					c.deployed(t, job, version, nomad.DeploymentStatusSuccessful)
					c.gone(t, job, counts[job])
				}
			})
			l.unharmed(t)
		})
	}
}

func TestScaling(t *testing.T) {
	l := drill(t, func(c *cluster, _ *load) {
		for _, count := range []string{"3", "2"} {
			c.says(t, "nomad", "job", "scale", "-detach", "identity", "identity", count)
			c.deployed(t, "identity", c.version(t, "identity"), nomad.DeploymentStatusSuccessful)
			c.gone(t, "identity", int(count[0]-'0'))
		}
	})
	l.unharmed(t)
}

// What runs is what the job files say.
func TestThePlanOfWhatRunsIsEmpty(t *testing.T) {
	c := running(t)
	for _, job := range append([]string{"postgres"}, programs...) {
		// Exit code 1: something would be changed.
		out, err := output(c.command(t, "nomad", "job", "plan", "-diff", "-var-file=nomad/vars/dev.hcl", "nomad/jobs/"+job+".nomad.hcl"))
		if err != nil {
			t.Errorf("%s: %v\n%s", job, err, out)
		}
		client := c.nomad(t)
		info, _, err := client.Jobs().Info(job, nil)
		if err != nil {
			t.Fatal(err)
		}
		text := c.says(t, "cat", "nomad/jobs/"+job+".nomad.hcl")
		wanted, err := client.Jobs().ParseHCLOpts(&nomad.JobsParseRequest{JobHCL: text, Canonicalize: true, Variables: "trust_domain = \"" + c.value("GATEHOUSE_MESH_TRUST_DOMAIN") + "\"\n"})
		if err != nil {
			t.Fatal(err)
		}
		plan, _, err := client.Jobs().Plan(wanted, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		if plan.Diff == nil || plan.Diff.Type != "None" {
			t.Errorf("%s: %+v, want no difference to version %d", job, plan.Diff, *info.Version)
		}
	}
}
