package cluster_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

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
	if c.catalogs != nil {
		return c.catalogs
	}
	client, err := consul.NewClient(&consul.Config{
		Address: c.value("CONSUL_HTTP_ADDR"), TokenFile: c.value("CONSUL_HTTP_TOKEN_FILE"),
		TLSConfig: consul.TLSConfig{CAFile: c.value("CONSUL_CACERT"), CertFile: c.value("CONSUL_CLIENT_CERT"), KeyFile: c.value("CONSUL_CLIENT_KEY")},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.catalogs = client
	return client
}

func (c *cluster) nomad(t *testing.T) *nomad.Client {
	t.Helper()
	if c.scheduler != nil {
		return c.scheduler
	}
	client, err := nomad.NewClient(&nomad.Config{
		Address: c.value("NOMAD_ADDR"), SecretID: c.value("NOMAD_TOKEN"), Namespace: c.value("NOMAD_NAMESPACE"),
		TLSConfig: &nomad.TLSConfig{CACert: c.value("NOMAD_CACERT"), ClientCert: c.value("NOMAD_CLIENT_CERT"), ClientKey: c.value("NOMAD_CLIENT_KEY")},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.scheduler = client
	return client
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

// kill ends a task at once. Nomad starts it again.
func (c *cluster) kill(t *testing.T, client *nomad.Client, alloc, task string) {
	t.Helper()
	if err := client.Allocations().Signal(&nomad.Allocation{ID: alloc}, nil, task, "SIGKILL"); err != nil {
		t.Fatal(err)
	}
}
