// Package cluster_test drives a development cluster as an operator does: `gatehouse cluster`, then
// the commands of Nomad, Consul and others in the environment that it prints. It needs root and the
// machine to itself: `make test-cluster` runs it, `make test` does not.
//
// One cluster is started for whoever needs it first, and stays for the others. Tests run one after
// the other and leave it healthy. The names of the files order them: begin_* need a machine without a
// cluster, or one that nobody has used.
package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"
)

// upWithin is how long a warm start may take on two cores.
const upWithin = 150 * time.Second

// site is the cluster under test.
var site = &cluster{}

type cluster struct {
	root    string // the checkout
	before  traces // of the machine, before anything was started
	environ []string
	up      bool
	adopted bool   // it was there before: whoever develops keeps one running
	built   string // the version of a second build that lies on its hosts; empty: there is none

	catalogs  *consul.Client // one each: the agents bound the connections of an address
	scheduler *nomad.Client
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if os.Geteuid() != 0 {
		return 1, fmt.Errorf("these tests make network namespaces: run `sudo make test-cluster`")
	}
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return 1, fmt.Errorf("find the module: %w", err)
	}
	site.root = filepath.Dir(strings.TrimSpace(string(out)))
	if site.before, err = look(); err != nil {
		return 1, err
	}
	code = m.Run()
	if site.adopted {
		return code, nil
	}
	if site.up {
		if out, err := site.cli("down"); err != nil {
			return 1, fmt.Errorf("cluster down: %w\n%s", err, out)
		}
	}
	return code, site.leftovers()
}

// leftovers is what the machine has now that it had not before.
func (c *cluster) leftovers() error {
	now, err := look()
	if err != nil {
		return err
	}
	if difference := c.before.difference(now); difference != "" {
		return fmt.Errorf("the machine is not as it was:\n%s", difference)
	}
	return nil
}

// cli runs `gatehouse cluster`.
func (c *cluster) cli(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	return output(exec.CommandContext(ctx, filepath.Join(c.root, ".bin", "gatehouse"), append([]string{"cluster"}, args...)...))
}

func output(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// running is the cluster, started if it is not there.
func running(t *testing.T) *cluster {
	t.Helper()
	if site.up {
		return site
	}
	out, err := site.cli("env")
	if err == nil {
		site.adopted = true
	} else {
		start(t)
		out, err = site.cli("env")
	}
	if err != nil {
		t.Fatalf("cluster env: %v\n%s", err, out)
	}
	site.up = true
	site.environ = os.Environ()
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		site.environ = append(site.environ, name+"="+strings.Trim(value, "'"))
	}
	return site
}

// start starts the cluster, in time.
func start(t *testing.T) {
	t.Helper()
	begun := time.Now()
	out, err := site.cli("up")
	if err != nil {
		t.Fatalf("cluster up: %v\n%s", err, out)
	}
	t.Logf("up after %s\n%s", time.Since(begun).Round(time.Second), out)
	if took := time.Since(begun); took > upWithin {
		t.Errorf("it took %s, at most %s may it take", took.Round(time.Second), upWithin)
	}
}

// stopped ends the cluster if it is there.
func stopped(t *testing.T) *cluster {
	t.Helper()
	if _, err := site.cli("env"); err == nil && !site.up || site.adopted {
		t.Fatal("a cluster runs that is not this test's: end it with `make cluster-down`")
	}
	if site.up {
		if out, err := site.cli("down"); err != nil {
			t.Fatalf("cluster down: %v\n%s", err, out)
		}
		*site = cluster{root: site.root, before: site.before}
	}
	return site
}

// command is one in the cluster's environment, with the pinned programs first on PATH.
func (c *cluster) command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...) // in a cleanup too
	cmd.Env = append(c.environ, "PATH="+filepath.Join(c.root, ".bin")+":"+os.Getenv("PATH"))
	cmd.Dir = c.root
	if !strings.Contains(name, "/") {
		if _, err := os.Stat(filepath.Join(c.root, ".bin", name)); err == nil {
			cmd.Path, cmd.Err = filepath.Join(c.root, ".bin", name), nil
		}
	}
	return cmd
}
