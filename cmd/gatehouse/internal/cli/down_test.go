package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// An `up` that has taken the folder since keeps its children.
func TestDownLeavesANewUpAlone(t *testing.T) {
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "1000")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	id, err := supervise.Identify(child.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	gone := supervise.Identity{PID: os.Getpid(), Start: 1, Boot: "another"} // the supervisor that `down` was asked to end
	if err := dir.Write(state.Record{Supervisor: gone, Processes: []state.Process{{Name: "consul", Identity: id}}}); err != nil {
		t.Fatal(err)
	}
	unlock, err := dir.Lock() // the new `up`
	if err != nil {
		t.Fatal(err)
	}
	code, _, problem := run(t, nil, "down", "--state", dir.Root())
	if code == 0 || !strings.Contains(problem, "another `gatehouse up`") || !id.Alive() {
		t.Errorf("exit code %d, %q; the child lives: %t", code, problem, id.Alive())
	}
	unlock()
	if code, out, problem := run(t, nil, "down", "--state", dir.Root()); code != 0 || !strings.Contains(out, "consul") || id.Alive() {
		t.Errorf("without it: exit code %d, %q, %q; the child lives: %t", code, out, problem, id.Alive())
	}
}
