package cli_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// The definition is drawn where nothing runs, in each format.
func TestGraphOfTheDefinition(t *testing.T) {
	for format, want := range map[string]string{
		"mermaid": `identity -->|"6 methods"| authz`, "dot": `"identity" -> "authz" [label="6 methods"]`, "svg": ">6 methods</text>",
	} {
		code, out, problem := run(t, nil, "mesh", "graph", "--format", format)
		if code != 0 || problem != "" || !strings.Contains(out, want) {
			t.Errorf("%s: %d %q, want %q in\n%s", format, code, problem, want, out)
		}
	}
	nowhere := filepath.Join(t.TempDir(), "none")
	if code, out, problem := run(t, nil, "mesh", "graph", "--live", "--state", nowhere); code != 1 || out != "" || !strings.Contains(problem, "make cluster") {
		t.Errorf("with nothing that lives: %d %q %q", code, out, problem)
	}
}

// With a Consul, what is denied there, drifted or unhealthy is marked.
func TestGraphOfWhatRuns(t *testing.T) {
	server := consultest.New(t)
	for _, entry := range registry.ConfigEntries(meshtest.Definition(t), "x-") {
		check.Within(t, 20*time.Second, "config entry", func() error { // a Consul that has just started refuses intentions
			_, _, err := server.ConfigEntries().Set(entry, nil)
			return err
		})
	}
	for id, state := range map[string]string{"x-identity-1": api.HealthPassing, "x-identity-2": api.HealthCritical} {
		check.NoError(t, server.Agent().ServiceRegister(&api.AgentServiceRegistration{
			ID: id, Name: "x-identity", Port: 1, Check: &api.AgentServiceCheck{CheckID: id, TTL: "1h", Status: state},
			Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{Check: &api.AgentServiceCheck{AliasService: id}}},
		}))
	}
	environ := []string{"CONSUL_HTTP_ADDR=" + server.HTTP, "SUDO_USER=ada", "GATEHOUSE_MESH_SERVICE_PREFIX=x-"}
	say := func(args ...string) string {
		t.Helper()
		code, out, problem := run(t, environ, append(append([]string{"mesh"}, args...), "--state", filepath.Join(t.TempDir(), "none"))...)
		if code != 0 {
			t.Fatalf("%v: %d %s", args, code, problem)
		}
		return out
	}
	check.Eventually(t, "half of Identity", func() bool { // catalog follows the agent
		return strings.Contains(say("graph", "--live"), `identity["identity<br>1 of 2 healthy"]`)
	})
	if out := say("graph", "--live"); strings.Contains(out, "denied") || strings.Contains(out, "changed") || !strings.Contains(out, `audit["audit<br>no instance"]`) {
		t.Errorf("before anybody has changed anything:\n%s", out)
	}
	say("deny", "identity", "authz/WriteRelationships", "--reason", "it floods")
	out := say("graph", "--live")
	for _, want := range []string{`identity -->|"6 methods<br>1 denied by hand"| authz`, `authz["authz<br>no instance<br>service-intentions changed"]`} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if out := say("graph"); strings.Contains(out, "denied") {
		t.Errorf("the definition's picture shows what runs:\n%s", out)
	}
}
