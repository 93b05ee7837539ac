package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// Whoever was refused chose the path: it moves no cursor and begins no line of its own.
func TestDeniedOnATerminal(t *testing.T) {
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	self, err := supervise.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Write(state.Record{Supervisor: self}); err != nil {
		t.Fatal(err)
	}
	log := `{"connection":null,"details":"rbac_access_denied_matched_policy[none]","path":"/a.B/C` + "\u009b" + `2J\nauth",` +
		`"peer":"spiffe://x.consul/ns/default/dc/dc1/svc/probe","time":"2099-11-22T10:00:02.000Z"}` + "\n"
	if err := os.WriteFile(dir.Log(state.SidecarOf("identity")), []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, problem := run(t, nil, "mesh", "denied", "--state", dir.Root())
	if code != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(out, "probe   identity  /a.B/C\\u009b2J\\u000aauth  1      2099-11-22T10:00:02Z") {
		t.Errorf("%d %q %q", code, out, problem)
	}
}
