package registry_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

func TestRegistrationOfAService(t *testing.T) {
	def := meshtest.Definition(t)
	const offset = 3000
	identity, err := def.Program("identity")
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.Registration(def, "identity", mesh.Config{PortOffset: offset})
	if err != nil {
		t.Fatal(err)
	}
	if r.ID != "identity" || r.Name != "identity" || r.Port != identity.Port+offset || r.Address != "127.0.0.1" {
		t.Errorf("the program is %s %s at %s:%d", r.ID, r.Name, r.Address, r.Port)
	}
	if want := fmt.Sprintf("127.0.0.1:%d", identity.Port+offset); r.Check.GRPC != want || r.Check.DeregisterCriticalServiceAfter != "" {
		t.Errorf("the check is %+v, want gRPC at %s that never deregisters", r.Check, want)
	}
	sidecar := r.Connect.SidecarService
	if sidecar.Port != identity.Public+offset || sidecar.Address != "127.0.0.1" || sidecar.Proxy.Config["bind_address"] != "127.0.0.1" {
		t.Errorf("the sidecar listens at %s:%d, bound to %v", sidecar.Address, sidecar.Port, sidecar.Proxy.Config["bind_address"])
	}
	if sidecar.Proxy.Config["local_request_timeout_ms"] != 0 {
		t.Error("Envoy would end calls after 15 s")
	}
	if len(sidecar.Proxy.Upstreams) != len(identity.Upstreams) {
		t.Fatalf("%d upstreams, want %d", len(sidecar.Proxy.Upstreams), len(identity.Upstreams))
	}
	for i, u := range sidecar.Proxy.Upstreams {
		want := identity.Upstreams[i]
		if u.DestinationName != want.Name || u.LocalBindPort != want.Port+offset || u.LocalBindAddress != "127.0.0.1" {
			t.Errorf("upstream is %+v, want %+v", u, want)
		}
		if limits, ok := u.Config["limits"].(map[string]any); !ok || limits["max_concurrent_requests"].(int) <= 1024 {
			t.Errorf("upstream %s keeps Envoy's limit of 1,024: %v", u.DestinationName, u.Config)
		}
	}
	text, ok := sidecar.Proxy.Config["envoy_local_cluster_json"].(string)
	var cluster map[string]any
	if !ok || json.Unmarshal([]byte(text), &cluster) != nil || cluster["name"] != "local_app" || !strings.Contains(text, fmt.Sprint(identity.Port+offset)) {
		t.Errorf("local cluster is %v", sidecar.Proxy.Config["envoy_local_cluster_json"])
	}
}

// In Consul every service has the prefix: the program, its sidecar's checks and where its upstreams
// lead.
func TestRegistrationWithAPrefix(t *testing.T) {
	def := meshtest.Definition(t)
	m := mesh.Config{ServicePrefix: prefix}
	program, err := registry.Registration(def, "identity", m)
	if err != nil {
		t.Fatal(err)
	}
	backing, err := registry.BackingRegistration(def, "postgres", m)
	if err != nil {
		t.Fatal(err)
	}
	for want, r := range map[string]*api.AgentServiceRegistration{"gatehouse-identity": program, "gatehouse-postgres": backing} {
		checks := r.Connect.SidecarService.Checks
		if r.ID != want || r.Name != want || r.Check.CheckID != "service:"+want || checks[0].CheckID != "sidecar:"+want || checks[1].AliasService != want {
			t.Errorf("%s is %+v, its sidecar's checks %+v and %+v", want, r, checks[0], checks[1])
		}
	}
	for _, u := range program.Connect.SidecarService.Proxy.Upstreams {
		if !strings.HasPrefix(u.DestinationName, "gatehouse-") {
			t.Errorf("an upstream leads to %s", u.DestinationName)
		}
	}
}

func TestRegistrationOfTheEdgeAndOfPostgres(t *testing.T) {
	def := meshtest.Definition(t)
	edge, err := registry.Registration(def, "gateway", mesh.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if edge.Check.HTTP != "http://127.0.0.1:8480/readyz" || edge.Check.GRPC != "" {
		t.Errorf("the gateway's check is %+v", edge.Check)
	}
	backing, err := registry.BackingRegistration(def, "postgres", mesh.Config{PortOffset: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if backing.Check.TCP != "127.0.0.1:16432" || backing.Connect.SidecarService.Proxy.LocalServicePort != 16432 {
		t.Errorf("postgres is %+v, %+v", backing.Check, backing.Connect.SidecarService.Proxy)
	}
	if _, err := registry.Registration(def, "postgres", mesh.Config{}); err == nil {
		t.Error("postgres is registered as a program")
	}
	if _, err := registry.BackingRegistration(def, "identity", mesh.Config{}); err == nil {
		t.Error("identity is registered as a backing service")
	}
}
