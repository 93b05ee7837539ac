package cluster_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// ours is where tasks find the programs of `make cluster`.
const ours = "/opt/gatehouse/bin"

func TestUndisturbed(t *testing.T) {
	l := drill(t, func(_ *cluster, l *load) { l.more(t, 5*perSecond) })
	l.unharmed(t)
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

// Every program is rolled to another build without a failed request.
func TestRolls(t *testing.T) {
	counts := map[string]int{"identity": 2, "authz": 2, "audit": 2, "auth": 3, "gateway": 2}
	build := running(t).build(t)
	for _, job := range []string{"identity", "authz", "audit", "auth", "gateway"} {
		t.Run(job, func(t *testing.T) {
			l := drill(t, func(c *cluster, l *load) {
				if job == "audit" { // whose streams end by the roll, and resume
					f := c.follow(t, l)
					f.lives(t, time.Minute)
					defer f.complete(t)
				}
				var people *signIns
				if job == "auth" {
					people = c.signIns(t, l)
				}
				before := c.version(t, job)
				version := c.submit(t, job, "-var", "programs="+ours+"/"+build)
				if version == before {
					t.Fatalf("version %d of %s is the same", version, job)
				}
				if people != nil {
					people.until(t, version, counts[job])
					people.complete(t)
				}
				c.deployed(t, job, version, nomad.DeploymentStatusSuccessful)
				c.gone(t, job, counts[job])
				for _, a := range c.allocations(t, c.nomad(t), job) {
					if said := c.says(t, "nomad", "alloc", "exec", "-task", "serve", a.ID, ours+"/"+build+"/"+job, "version"); !strings.Contains(said, build) {
						t.Errorf("%s on %s says that it is %q, want %s", job, a.NodeName, said, build)
					}
				}
			})
			l.unharmed(t)
		})
	}
}

// A build that does not become ready is taken back, and nobody notices.
func TestAutoRevert(t *testing.T) {
	l := drill(t, func(c *cluster, _ *load) {
		before := c.version(t, "identity")
		broken := c.submit(t, "identity", "-var", "programs="+ours+"/"+c.broken(t, "identity"))
		check.Within(t, 5*time.Minute, "Nomad takes the version back", func() error {
			d := deployment(t, c.nomad(t), "identity", broken)
			if now := c.version(t, "identity"); d == nil || d.Status != nomad.DeploymentStatusFailed || now <= broken {
				return fmt.Errorf("version %d runs, the deployment is %+v", now, d)
			}
			return nil
		})
		c.deployed(t, "identity", c.version(t, "identity"), nomad.DeploymentStatusSuccessful)
		c.gone(t, "identity", 2)
		t.Logf("version %d was broken, %d is as %d was", broken, c.version(t, "identity"), before)
	})
	l.unharmed(t)
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

// build lays programs of another version beside the others on every host, and returns the folder's
// name, which is the version.
func (c *cluster) build(t *testing.T) string {
	t.Helper()
	if c.built == "" {
		c.built = fmt.Sprintf("drill-%d", time.Now().Unix())
		c.says(t, "make", "build", "VERSION="+c.built, "BIN="+filepath.Join(c.programs(), c.built))
		c.copyOf(t, c.built, "envoy")
	}
	return c.built
}

// broken lays programs beside the others of which one never becomes ready.
func (c *cluster) broken(t *testing.T, program string) string {
	t.Helper()
	entries, err := os.ReadDir(c.programs())
	check.NoError(t, err)
	for _, entry := range entries {
		if !entry.IsDir() && entry.Name() != program {
			c.copyOf(t, "broken", entry.Name())
		}
	}
	// Envoy reads `serve` as no option and ends.
	err = os.Link(filepath.Join(c.programs(), "envoy"), filepath.Join(c.programs(), "broken", program))
	if err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	return "broken"
}

// copyOf lays one of our programs into a folder beside.
func (c *cluster) copyOf(t *testing.T, folder, program string) {
	t.Helper()
	check.NoError(t, os.MkdirAll(filepath.Join(c.programs(), folder), 0o755)) // for the tasks' user
	if err := os.Link(filepath.Join(c.programs(), program), filepath.Join(c.programs(), folder, program)); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
}

// programs is the folder of what tasks run, on each host.
func (c *cluster) programs() string {
	return filepath.Join(c.value("GATEHOUSE_CLI_CLUSTER"), "programs")
}
