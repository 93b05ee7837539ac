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

func TestRender(t *testing.T) {
	raw, err := agent.OneMachine{
		NodeName: "n", DataDir: `/tmp/a "folder"`, HTTPSPort: 1, XDSPort: 2, CAFile: "ca", CertFile: "cert", KeyFile: "key", SerfPort: 3, ServerPort: 4,
		GossipKey: "aPuGh+5UDskRAbkLaXRzFoSOcSM+5vAK+NEYOWHJH7w=", ManagementToken: "5b2b7bd1-0d2f-4c44-9a40-7d0a3c5f9a11",
	}.Render()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`default_policy           = "deny"`, `default_intention_policy = "deny"`, `"/tmp/a \"folder\""`, `client_addr = "127.0.0.1"`, "disable_update_check = true"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("it lacks %s:\n%s", want, raw)
		}
	}
	consul, err := consultest.Find("consul")
	if err != nil {
		t.Fatalf("find consul: %v: run `make tools`", err)
	}
	file := filepath.Join(t.TempDir(), "one-machine.hcl")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(consul, "validate", file).CombinedOutput(); err != nil {
		t.Errorf("consul validate: %v\n%s", err, out)
	}
}
