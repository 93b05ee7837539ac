package cluster_test

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// secrets are the values that Nomad keeps for the jobs, by where they are.
func (c *cluster) secrets(t *testing.T) map[string]string {
	t.Helper()
	client, all := c.nomad(t), map[string]string{}
	list, _, err := client.Variables().List(nil)
	check.NoError(t, err)
	for _, meta := range list {
		v, _, err := client.Variables().Read(meta.Path, nil)
		check.NoError(t, err)
		for item, value := range v.Items {
			where := meta.Path + " " + item
			if u, err := url.Parse(value); err == nil && u.User != nil {
				value, _ = u.User.Password()
			}
			if strings.Contains(value, "BEGIN CERTIFICATE") {
				continue // everybody is shown it
			}
			if lines := strings.Split(strings.TrimSpace(value), "\n"); len(lines) > 2 {
				value = lines[1] // of a key in PEM
			}
			if len(value) < 16 {
				t.Fatalf("%s is too short to be looked for: %d bytes", where, len(value))
			}
			all[where] = value
		}
	}
	if len(all) < 15 {
		t.Fatalf("only %d secrets in %d variables", len(all), len(list))
	}
	return all
}

// None of the secrets that tasks are handed is in what `nomad job inspect` prints, in a log of a task
// or an agent, or on a command line.
func TestSecretsStayOutOfSight(t *testing.T) {
	c := running(t)
	secrets := c.secrets(t)
	seen := map[string]int{} // bytes by kind
	look := func(kind, where string, text []byte) {
		seen[kind] += len(text)
		for name, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s: %s has the value of %s", kind, where, name)
			}
		}
	}
	for _, job := range append([]string{"postgres"}, programs...) {
		look("job", job, []byte(c.says(t, "nomad", "job", "inspect", job)))
	}
	for kind, pattern := range map[string]string{
		"log of a task": c.value("GATEHOUSE_CLI_CLUSTER") + "/client-*/alloc/*/alloc/logs/*.[0-9]*", "log of an agent": c.value("GATEHOUSE_CLI_CLUSTER") + "/logs/*", "command line": "/proc/[0-9]*/cmdline",
	} {
		paths, err := filepath.Glob(pattern)
		check.NoError(t, err)
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil { // or it is gone
				look(kind, path, text)
			}
		}
	}
	for _, kind := range []string{"job", "log of a task", "log of an agent", "command line"} {
		if seen[kind] < 1000 {
			t.Errorf("%s: only %d bytes were looked at", kind, seen[kind])
		}
	}
	t.Logf("%d secrets looked for in %v bytes", len(secrets), seen)
}

// R88: with its own identity the serving task reads its own variable, and neither the one with the
// owner's URL nor any other.
func TestTheServingTaskCannotReadTheOwnersURL(t *testing.T) {
	c := running(t)
	c.explains(t)
	client := c.nomad(t)
	job, _, err := client.Jobs().Info("audit", nil)
	check.NoError(t, err)
	before := *job.Version
	for _, task := range job.TaskGroups[0].Tasks {
		if task.Name == "serve" { // Nomad writes the token of its identity into the task's folder
			task.Identity = &nomad.WorkloadIdentity{Name: "default", File: true}
		}
	}
	_, _, err = client.Jobs().Register(job, nil)
	check.NoError(t, err)
	version := c.version(t, "audit")
	t.Cleanup(func() {
		if c.adopted { // as whoever develops had it; tests that come later do not mind
			_, _, err := client.Jobs().Revert("audit", before, nil, nil, "", "")
			check.NoError(t, err)
			c.deployed(t, "audit", c.version(t, "audit"), nomad.DeploymentStatusSuccessful)
			c.gone(t, "audit", 2)
		}
	})
	c.deployed(t, "audit", version, nomad.DeploymentStatusSuccessful)
	token := ""
	for _, a := range c.allocations(t, client, "audit") {
		if a.JobVersion == version {
			token = c.token(t, a)
		}
	}
	as, err := nomad.NewClient(&nomad.Config{
		Address: c.value("NOMAD_ADDR"), SecretID: token, Namespace: c.value("NOMAD_NAMESPACE"), TLSConfig: &nomad.TLSConfig{CACert: c.value("NOMAD_CACERT")},
	})
	check.NoError(t, err)
	own, _, err := as.Variables().Read("nomad/jobs/audit/audit/serve", nil)
	if err != nil || own.Items["GATEHOUSE_POSTGRES_URL"] == "" {
		t.Fatalf("its own variable: %v", err)
	}
	for _, path := range []string{"nomad/jobs/audit/audit/migrate", "nomad/jobs/auth/auth/serve", "nomad/jobs/postgres/postgres/postgres", "nomad/jobs/postgres/postgres/prepare"} {
		if v, _, err := as.Variables().Read(path, nil); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("%s: %d items, %v, want 403", path, len(v.Items), err)
		}
	}
}

// token is that of the identity of an allocation's serving task.
func (c *cluster) token(t *testing.T, a *nomad.AllocationListStub) string {
	t.Helper()
	// The task's folder of secrets is a mount of its host alone.
	path := filepath.Join("/proc", strconv.Itoa(c.hosts(t)[a.NodeName].PID), "root", c.value("GATEHOUSE_CLI_CLUSTER"), a.NodeName, "alloc", a.ID, "serve", "secrets", "nomad_token")
	raw, err := os.ReadFile(path)
	check.NoError(t, err)
	return string(raw)
}

// A role's password is replaced while the platform is used: the server takes the new one and no more
// the old one, and nobody notices.
func TestRotationOfAPassword(t *testing.T) {
	l := drill(t, func(c *cluster, l *load) {
		url := func() string {
			v, _, err := c.nomad(t).Variables().Read("nomad/jobs/identity/identity/serve", nil)
			check.NoError(t, err)
			return v.Items["GATEHOUSE_POSTGRES_URL"]
		}
		server := c.inside(t, c.allocations(t, c.nomad(t), "postgres")[0])
		before := url()
		if err := server.signsIn(t.Context(), before); err != nil {
			t.Fatalf("before: %v", err)
		}
		c.gatehouse(t, "secrets", "rotate", "IDENTITY_PASSWORD")
		if url() == before {
			t.Fatal("the URL is the same")
		}
		begun := time.Now()
		check.Within(t, time.Minute, "the server takes the new password", func() error { return server.signsIn(t.Context(), url()) })
		t.Logf("the server takes it %s after the command", time.Since(begun).Round(time.Millisecond))
		if err := server.signsIn(t.Context(), before); err == nil || !strings.Contains(err.Error(), "28P01") {
			t.Errorf("with the old password: %v, want 28P01", err)
		}
		l.more(t, 5*perSecond)
	})
	l.unharmed(t)
}
