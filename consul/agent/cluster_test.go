package agent_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// R75: the files of a site's agents close what they should, each exception has its reason, and Consul
// takes them with what a host has of its own.
func TestTheFilesOfASite(t *testing.T) {
	consul, err := consultest.Find("consul")
	if err != nil {
		t.Fatalf("find consul: %v: run `make tools`", err)
	}
	for name, host := range map[string]agent.Host{
		"server": {Server: true, Servers: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, ManagementToken: "5b2b7bd1-0d2f-4c44-9a40-7d0a3c5f9a11"},
		"client": {Servers: []string{"10.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			host.NodeName, host.DataDir, host.Address, host.GossipKey = "n", dir, "10.0.0.9", "aPuGh+5UDskRAbkLaXRzFoSOcSM+5vAK+NEYOWHJH7w="
			host.AgentToken = "7b2b7bd1-0d2f-4c44-9a40-7d0a3c5f9a11"
			own, err := host.Render()
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{"shared.hcl": host.Shared(), "host.hcl": own} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := exec.Command(consul, "validate", dir).CombinedOutput(); err != nil {
				t.Errorf("consul validate: %v\n%s", err, out)
			}
			for _, want := range []string{
				"http     = -1", "https    = 8501", "verify_incoming = true", "verify_outgoing = true", "verify_server_hostname = true",
				`default_policy           = "deny"`, `default_intention_policy = "deny"`, `block_endpoints = ["/v1/agent/connect/ca/leaf"]`,
			} {
				if !strings.Contains(host.Shared(), want) {
					t.Errorf("it lacks %s", want)
				}
			}
			if open, reasons := strings.Count(host.Shared(), "verify_incoming = false"), strings.Count(host.Shared(), "# Exception: "); open != reasons {
				t.Errorf("%d exceptions, %d reasons", open, reasons)
			}
			if !strings.Contains(own, `encrypt    = "aPuGh`) || strings.Contains(own, "initial_management") != host.Server {
				t.Errorf("what it has of its own:\n%s", own)
			}
		})
	}
}
