package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"

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

// drill lets something happen under load and returns what the load met. It begins with an instance
// of each program on each client host, and fails when Auth has been below leastAuth.
func drill(t *testing.T, happens func(*cluster, *load), without ...string) *load {
	t.Helper()
	c := running(t)
	c.spread(t)
	l := c.load(t, without...)
	least := c.watchAuth(t)
	l.more(t, 2*perSecond)
	happens(c, l)
	l.more(t, 5*perSecond)
	l.stop()
	t.Log(l)
	if n := least(); n < leastAuth {
		t.Errorf("Auth was down to %d passing instances", n)
	}
	for _, lost := range l.lost(t) {
		t.Errorf("lost: %s", lost)
	}
	return l
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

// harmed wants each failure to be a clean 503 or 504, none later than so long after the beginning.
func (l *load) harmed(t *testing.T, since time.Time, most time.Duration) {
	t.Helper()
	var last time.Time
	for _, f := range l.failures {
		if f.at.After(last) {
			last = f.at
		}
		if f.at.Add(f.took).Before(since) || f.status != 503 && f.status != 504 || !strings.Contains(f.body, `"status"`) {
			t.Errorf("not a clean refusal: %s", f)
		}
	}
	if len(l.failures) > 0 {
		t.Logf("%d failures, the first %s, the last %s after it happened", len(l.failures), l.failures[0].at.Sub(since).Round(time.Millisecond), last.Sub(since).Round(time.Millisecond))
	}
	if last.Sub(since) > most {
		t.Errorf("requests failed for %s, at most %s may they", last.Sub(since).Round(time.Millisecond), most)
	}
}

// value is a variable of `gatehouse cluster env`.
func (c *cluster) value(name string) string {
	for _, pair := range slices.Backward(c.environ) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

func (c *cluster) consul(t *testing.T) *consul.Client {
	t.Helper()
	client, err := consul.NewClient(&consul.Config{
		Address: c.value("CONSUL_HTTP_ADDR"), TokenFile: c.value("CONSUL_HTTP_TOKEN_FILE"),
		TLSConfig: consul.TLSConfig{CAFile: c.value("CONSUL_CACERT"), CertFile: c.value("CONSUL_CLIENT_CERT"), KeyFile: c.value("CONSUL_CLIENT_KEY")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (c *cluster) nomad(t *testing.T) *nomad.Client {
	t.Helper()
	client, err := nomad.NewClient(&nomad.Config{
		Address: c.value("NOMAD_ADDR"), SecretID: c.value("NOMAD_TOKEN"), Namespace: c.value("NOMAD_NAMESPACE"),
		TLSConfig: &nomad.TLSConfig{CACert: c.value("NOMAD_CACERT"), ClientCert: c.value("NOMAD_CLIENT_CERT"), ClientKey: c.value("NOMAD_CLIENT_KEY")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// passing are the hosts of the healthy instances of a program, once for each.
func (c *cluster) passing(client *consul.Client, program string) ([]string, error) {
	entries, _, err := client.Health().Service(c.value("GATEHOUSE_MESH_SERVICE_PREFIX")+program, "", true, &consul.QueryOptions{RequireConsistent: true})
	var hosts []string
	for _, entry := range entries {
		hosts = append(hosts, entry.Node.Node)
	}
	return hosts, err
}

// spread wants a healthy instance of each program on each client host.
func (c *cluster) spread(t *testing.T) {
	t.Helper()
	client := c.consul(t)
	check.Within(t, time.Minute, "an instance of each program on each client host", func() error {
		for _, program := range programs {
			hosts, err := c.passing(client, program)
			if err != nil || !slices.Contains(hosts, withPostgres) || !slices.Contains(hosts, other) {
				return fmt.Errorf("%s is on %q: %w", program, hosts, err)
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

// says runs a command that has to succeed and returns what it prints.
func (c *cluster) says(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := output(c.command(t, name, args...))
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// submit runs a job file as an operator does, without waiting, and returns the version that it becomes.
func (c *cluster) submit(t *testing.T, job string, args ...string) uint64 {
	t.Helper()
	c.says(t, "nomad", append(append([]string{"job", "run", "-detach", "-var-file=nomad/vars/dev.hcl"}, args...), "nomad/jobs/"+job+".nomad.hcl")...)
	return c.version(t, job)
}

func (c *cluster) version(t *testing.T, job string) uint64 {
	t.Helper()
	info, _, err := c.nomad(t).Jobs().Info(job, nil)
	if err != nil {
		t.Fatal(err)
	}
	return *info.Version
}

// deployed waits for the end of the deployment of a version of a job, and wants it to be so.
func (c *cluster) deployed(t *testing.T, job string, version uint64, want string) {
	t.Helper()
	client := c.nomad(t)
	check.Within(t, 5*time.Minute, fmt.Sprintf("version %d of %s is deployed: %s", version, job, want), func() error {
		d := deployment(t, client, job, version)
		switch {
		case d == nil:
			return errors.New("it has no deployment")
		case d.Status == want:
			return nil
		case d.Status != nomad.DeploymentStatusRunning && d.Status != nomad.DeploymentStatusPending:
			t.Fatalf("version %d of %s: %s: %s", version, job, d.Status, d.StatusDescription)
		}
		return errors.New(d.StatusDescription)
	})
}

// deployment is that of a version of a job, or nil.
func deployment(t *testing.T, client *nomad.Client, job string, version uint64) *nomad.Deployment {
	t.Helper()
	all, _, err := client.Jobs().Deployments(job, true, nil)
	check.NoError(t, err)
	for _, d := range all {
		if d.JobVersion == version {
			return d
		}
	}
	return nil
}

// gone waits until no instance of another version of a job is left.
func (c *cluster) gone(t *testing.T, job string, instances int) {
	t.Helper()
	client := c.nomad(t)
	check.Within(t, 2*time.Minute, fmt.Sprintf("%d instances of %s", instances, job), func() error {
		running := c.allocations(t, client, job)
		if len(running) != instances {
			return fmt.Errorf("%d run", len(running))
		}
		return nil
	})
}

// allocations are those of a job that run.
func (c *cluster) allocations(t *testing.T, client *nomad.Client, job string) []*nomad.AllocationListStub {
	t.Helper()
	all, _, err := client.Jobs().Allocations(job, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(a *nomad.AllocationListStub) bool { return a.ClientStatus != nomad.AllocClientStatusRunning })
}

// build lays a second version of the programs beside the first on every host, some of them being
// others, and returns the folder that tasks see.
func (c *cluster) build(t *testing.T, name string, instead map[string]string) string {
	t.Helper()
	from := c.value("GATEHOUSE_CLI_CLUSTER") + "/programs/"
	if err := os.MkdirAll(from+name, 0o755); err != nil { // for the tasks' user
		t.Fatal(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		program := entry.Name()
		if other, ok := instead[program]; ok {
			program = other
		}
		if err := os.Link(from+program, from+name+"/"+entry.Name()); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	return "/opt/gatehouse/bin/" + name
}

// kill ends a task at once. Nomad starts it again.
func (c *cluster) kill(t *testing.T, client *nomad.Client, alloc, task string) {
	t.Helper()
	if err := client.Allocations().Signal(&nomad.Allocation{ID: alloc}, nil, task, "SIGKILL"); err != nil {
		t.Fatal(err)
	}
}
