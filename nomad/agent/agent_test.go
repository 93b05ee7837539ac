package agent_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
	"github.com/gatehouse/gatehouse/nomad/agent"
)

// R82: the files of a site's agents close what they should, each exception has its reason, and Nomad
// takes them with what a host has of its own.
func TestTheFilesOfASite(t *testing.T) {
	nomad, err := consultest.Find("nomad")
	if err != nil {
		t.Fatalf("find nomad: %v: run `make tools`", err)
	}
	for name, c := range map[string]struct {
		host agent.Host
		want []string
	}{
		"server": {agent.Host{Server: true, Servers: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, GossipKey: "aPuGh+5UDskRAbkLaXRzFoSOcSM+5vAK+NEYOWHJH7w="},
			[]string{"# Exception: Consul's servers read the keys", "verify_https_client = false"}},
		"client": {agent.Host{
			Servers: []string{"10.0.0.1"}, AllocDir: "/a", ConsulToken: "t", CNI: "/c", Interface: "eth0", SharesMachine: true, Private: "10.0.0.0/24", Public: "10.0.1.0/24",
			Volumes: map[string]string{"v": "/v"}, Chroot: map[string]string{"/p": "/opt/gatehouse/bin"},
		}, []string{"verify_https_client    = true", `function_denylist = ["executeTemplate", "plugin", "writeToFile", "caLeaf"]`, "enabled = false"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, host := t.TempDir(), c.host
			host.NodeName, host.DataDir, host.Address, host.CAFile, host.CertFile, host.KeyFile = "n", dir, "10.0.0.9", "/ca", "/cert", "/key"
			own, err := host.Render()
			if err != nil {
				t.Fatal(err)
			}
			shared, ownFile := filepath.Join(dir, "shared.hcl"), filepath.Join(dir, "host.hcl")
			for file, text := range map[string]string{shared: host.Shared(), ownFile: own} {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := exec.Command(nomad, "config", "validate", shared, ownFile).CombinedOutput(); err != nil {
				t.Errorf("nomad config validate: %v\n%s\n%s", err, out, own)
			}
			for _, want := range append(c.want, "acl {\n  enabled = true", "http                   = true", "rpc                    = true", "verify_server_hostname = true") {
				if !strings.Contains(host.Shared(), want) {
					t.Errorf("it lacks %s", want)
				}
			}
		})
	}
}
