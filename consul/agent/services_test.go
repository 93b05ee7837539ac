package agent_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/sdk/freeport"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// An agent that begins with services knows the same of them as one that was told over the API, and takes their checks for what they are
// said to be until it has looked itself.
func TestServicesAreAsRegistered(t *testing.T) {
	def, err := consul.Definition()
	if err != nil {
		t.Fatal(err)
	}
	var services []agent.Service
	told := consultest.New(t)
	for _, name := range []string{"identity", "gateway", mesh.Postgres} {
		registration, err := registry.Registration(def, name, mesh.Config{})
		if name == mesh.Postgres {
			registration, err = registry.BackingRegistration(def, name, mesh.Config{})
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := told.Agent().ServiceRegister(registration); err != nil {
			t.Fatal(err)
		}
		for _, c := range append(registration.Connect.SidecarService.Checks, registration.Check) {
			c.Status = api.HealthPassing
			if c.Interval != "" {
				c.Interval = "1h" // it does not look during the test
			}
		}
		services = append(services, agent.Service{Registration: registration})
	}
	began := begin(t, told.Program, services)
	for _, s := range services {
		for _, id := range []string{s.Registration.ID, registry.SidecarID(s.Registration.ID)} {
			want, _, err := told.Agent().Service(id, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := began.Agent().Service(id, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(api.AgentService{}, "ContentHash"), cmpopts.IgnoreMapEntries(virtual)); diff != "" {
				t.Errorf("%s (-registered +configured):\n%s", id, diff)
			}
		}
	}
	want, err := told.Agent().Checks()
	if err != nil {
		t.Fatal(err)
	}
	got, err := began.Agent().Checks()
	if err != nil {
		t.Fatal(err)
	}
	for id, check := range want {
		if got[id] == nil || got[id].Status != api.HealthPassing || got[id].Type != check.Type || got[id].ServiceID != check.ServiceID {
			t.Errorf("check %s is %+v, want %+v as passing", id, got[id], check)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d checks, want %d: %v", len(got), len(want), got)
	}
}

// virtual finds the address that Consul's catalog gives to each service in the order in which it hears of them, some time after the agent
// knows it: no part of what a registration says.
func virtual(name string, _ api.ServiceAddress) bool { return name == "consul-virtual" }

// begin runs an agent of its own that begins with the services.
func begin(t *testing.T, program string, services []agent.Service) *api.Client {
	t.Helper()
	raw, err := agent.Services(services)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "services.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	ports := freeport.GetN(t, 4)
	cmd := exec.Command(program, "agent", "-dev", "-config-file", file, "-log-level", "error", "-http-port", port(ports[0]), "-grpc-port", port(ports[1]),
		"-serf-lan-port", port(ports[2]), "-server-port", port(ports[3]), "-serf-wan-port", "-1", "-dns-port", "-1", "-grpc-tls-port", "-1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	config := api.DefaultConfig()
	config.Address = "127.0.0.1:" + port(ports[0])
	client, err := api.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := client.Agent().Checks(); err == nil {
			return client
		}
		select {
		case <-deadline:
			t.Fatal("the agent does not start with the services")
		case <-tick.C:
		}
	}
}

func port(number int) string { return strconv.Itoa(number) }
