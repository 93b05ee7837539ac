package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// deniedPlatform is the record of a running platform with two of Identity, whose services have a
// prefix.
func deniedPlatform(t *testing.T) state.Dir {
	t.Helper()
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
	if err := dir.Write(state.Record{Supervisor: self, ServicePrefix: "gatehouse-", Scale: mesh.Scale{"identity": 2}}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// refusal writes what a sidecar says of a call that it refused.
func refusal(t *testing.T, dir state.Dir, sidecarOf, path string) {
	t.Helper()
	log := `{"connection":null,"details":"rbac_access_denied_matched_policy[none]","path":"` + path + `",` +
		`"peer":"spiffe://x.consul/ns/default/dc/dc1/svc/gatehouse-probe","time":"2099-11-22T10:00:02.000Z"}` + "\n"
	if err := os.WriteFile(dir.Log(state.SidecarOf(sidecarOf)), []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the sidecars of both instances refused is refused by one program.
func TestDeniedByTwoInstances(t *testing.T) {
	dir := deniedPlatform(t)
	refusal(t, dir, "identity", "/a.B/C")
	refusal(t, dir, "identity-2", "/a.B/C")
	code, out, problem := run(t, nil, "mesh", "denied", "--state", dir.Root())
	if code != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(out, "probe   identity  /a.B/C  2") {
		t.Errorf("%d %q %q", code, out, problem)
	}
}

// Whoever was refused chose the path: it moves no cursor and begins no line of its own.
func TestDeniedOnATerminal(t *testing.T) {
	dir := deniedPlatform(t)
	refusal(t, dir, "identity", "/a.B/C"+"\u009b"+`2J\nauth`)
	code, out, problem := run(t, nil, "mesh", "denied", "--state", dir.Root())
	if code != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(out, "probe   identity  /a.B/C\\u009b2J\\u000aauth  1      2099-11-22T10:00:02Z") {
		t.Errorf("%d %q %q", code, out, problem)
	}
}
