package platform

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
)

// scaled is a platform with a second identity, under a service prefix.
func scaled(t *testing.T) *Platform {
	t.Helper()
	p := testPlatform(t)
	p.opts.Scale, p.opts.Prefix = mesh.Scale{"identity": 2}, "gatehouse-"
	return p
}

// A second instance is a process, a sidecar and a user of its own; it migrates nothing.
func TestProcessesOfASecondInstance(t *testing.T) {
	p := scaled(t)
	seated := p.seated()
	for _, name := range []string{"identity", "identity-2", state.SidecarOf("identity-2"), "identity-migrate"} {
		if !slices.Contains(seated, name) {
			t.Errorf("%s is not among %v", name, seated)
		}
	}
	for _, name := range []string{"identity-migrate-2", "auth-2", "postgres-2"} {
		if slices.Contains(seated, name) {
			t.Errorf("%s is among %v", name, seated)
		}
	}
	if distinct := slices.Compact(slices.Sorted(slices.Values(seated))); len(distinct) != len(seated) {
		t.Errorf("two have one name: %v", seated)
	}
}

// It is told which one it is, and reaches the database through its own sidecar; both instances wait
// for others to notice that they stop, because there is somebody to go to.
func TestEnvironmentOfASecondInstance(t *testing.T) {
	p := scaled(t)
	identity, err := p.plan.Program("identity")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.databasePassword(identity, "identity"); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]struct{ url, port string }{
		"identity": {"postgres-identity.url", ":23039/"}, "identity-2": {"postgres-identity-2.url", ":11639/"},
	} {
		environ := environOf(t, p, id, plan.Serve)
		if has := slices.Contains(environ, "GATEHOUSE_MESH_INSTANCE=2"); has != (id == "identity-2") {
			t.Errorf("%s gets %v", id, environ)
		}
		if !slices.Contains(environ, "GATEHOUSE_POSTGRES_URL_FILE="+p.opts.Dir.SecretPath(want.url)) || !slices.Contains(environ, "GATEHOUSE_MESH_SERVICE_PREFIX=gatehouse-") {
			t.Errorf("%s gets %v", id, environ)
		}
		if url, err := p.opts.Dir.ReadSecret(want.url); err != nil || !strings.Contains(url, want.port) {
			t.Errorf("the URL of %s does not lead to %s: %v", id, want.port, err)
		}
		if slices.Contains(environ, "GATEHOUSE_DRAIN_DELAY=0s") {
			t.Errorf("%s stops at once, although there is a second instance", id)
		}
	}
	if environ := environOf(t, p, "auth", plan.Serve); !slices.Contains(environ, "GATEHOUSE_DRAIN_DELAY=0s") {
		t.Errorf("auth, which is alone, gets %v", environ)
	}
}

// In Consul both are the same service, each with an id, a sidecar and ports of its own.
func TestRegistrationOfASecondInstance(t *testing.T) {
	p := scaled(t)
	taken := map[int]string{}
	for id, number := range map[string]string{"identity": "", "identity-2": "-2"} {
		r, err := p.registration(unitOf(t, p, id))
		if err != nil {
			t.Fatal(err)
		}
		if r.Name != "gatehouse-identity" || r.ID != "gatehouse-identity"+number {
			t.Errorf("%s is the service %s with the id %s", id, r.Name, r.ID)
		}
		sidecar := r.Connect.SidecarService
		ports := []int{r.Port, sidecar.Port}
		for _, u := range sidecar.Proxy.Upstreams {
			ports = append(ports, u.LocalBindPort)
		}
		for _, port := range ports {
			if other, again := taken[port]; again {
				t.Errorf("port %d is that of %s and of %s", port, other, id)
			}
			taken[port] = id
		}
		if sidecar.Proxy.LocalServicePort != r.Port {
			t.Errorf("the sidecar of %s leads to port %d, not %d", id, sidecar.Proxy.LocalServicePort, r.Port)
		}
	}
}
