package mesh_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

func TestRegistrationOfAService(t *testing.T) {
	def, err := consul.Definition()
	if err != nil {
		t.Fatal(err)
	}
	const offset = 3000
	identity, err := def.Program("identity")
	if err != nil {
		t.Fatal(err)
	}
	r, err := mesh.Registration(def, "identity", offset)
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

func TestRegistrationOfTheEdgeAndOfPostgres(t *testing.T) {
	def, err := consul.Definition()
	if err != nil {
		t.Fatal(err)
	}
	edge, err := mesh.Registration(def, "gateway", 0)
	if err != nil {
		t.Fatal(err)
	}
	if edge.Check.HTTP != "http://127.0.0.1:8480/readyz" || edge.Check.GRPC != "" {
		t.Errorf("the gateway's check is %+v", edge.Check)
	}
	backing, err := mesh.BackingRegistration(def, "postgres", 1000)
	if err != nil {
		t.Fatal(err)
	}
	if backing.Check.TCP != "127.0.0.1:16432" || backing.Connect.SidecarService.Proxy.LocalServicePort != 16432 {
		t.Errorf("postgres is %+v, %+v", backing.Check, backing.Connect.SidecarService.Proxy)
	}
	if _, err := mesh.Registration(def, "postgres", 0); err == nil {
		t.Error("postgres is registered as a program")
	}
	if _, err := mesh.BackingRegistration(def, "identity", 0); err == nil {
		t.Error("identity is registered as a backing service")
	}
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []struct {
		config mesh.Config
		ok     bool
	}{
		{mesh.Config{}, true},
		{mesh.Config{PortOffset: 3000, ConsulAddress: "127.0.0.1:9500"}, true},
		{mesh.Config{PortOffset: -1}, false},
		{mesh.Config{PortOffset: mesh.MaxPortOffset + 1}, false},
		{mesh.Config{ConsulAddress: "127.0.0.1"}, false},
		{mesh.Config{ConsulAddress: "https://127.0.0.1:8501"}, false},
		{mesh.Config{ConsulCA: "ca.pem"}, true},
		{mesh.Config{ConsulCA: "ca.pem", ConsulCert: "client.pem", ConsulKey: "client.key"}, true},
		{mesh.Config{ConsulCA: "ca.pem", ConsulCert: "client.pem"}, false},
		{mesh.Config{ConsulCA: "ca.pem", ConsulKey: "client.key"}, false},
		{mesh.Config{ConsulCert: "client.pem", ConsulKey: "client.key"}, false},
	} {
		if err := c.config.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.config, err)
		}
	}
	if got := (mesh.Config{PortOffset: 2000}).Consul(); got != "127.0.0.1:10500" {
		t.Errorf("consul is at %s", got)
	}
	if got := (mesh.Config{PortOffset: 2000, ConsulCA: "ca.pem"}).Consul(); got != "127.0.0.1:10501" {
		t.Errorf("consul with certificates is at %s", got)
	}
}

// What the environment says to the consul program says nothing to ours.
func TestClientSendsOnlyTheConfiguredToken(t *testing.T) {
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sent = r.Header.Values("X-Consul-Token") }))
	defer server.Close()
	t.Setenv("CONSUL_HTTP_TOKEN", "from the environment")
	t.Setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
	for token, want := range map[string]string{"": "[]", "ours": "[ours]"} {
		client, err := mesh.NewClient(mesh.Config{ConsulAddress: strings.TrimPrefix(server.URL, "http://"), ConsulToken: config.NewSecret(token)})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "x"}); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(sent) != want {
			t.Errorf("token %q is sent as %v", token, sent)
		}
	}
}
