package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

func TestBaseReadsTheCommittedDefinition(t *testing.T) {
	world := &mesh.Definition{
		Programs: []mesh.Program{{Name: "gateway", Edge: true}, {Name: "shop"}, {Name: "stock"}},
		Backings: []mesh.Backing{{Name: "postgres", Callers: []string{"shop"}}},
		Methods: []mesh.Method{
			{Path: "/shop.v1.Shop/Buy", Callee: "shop", Callers: []string{"gateway"}},
			{Path: "/stock.v1.Stock/Take", Callee: "stock", Callers: []string{"shop"}},
		},
	}
	dir := t.TempDir()
	run(t, dir, "init", "--quiet")
	commit(t, dir, "empty")
	text, err := world.Encode()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, mesh.File), text)
	run(t, dir, "add", ".")
	commit(t, dir, "mesh")
	write(t, filepath.Join(dir, mesh.File), []byte("{"))
	run(t, dir, "add", ".")
	commit(t, dir, "broken")

	before, err := meshAt(t.Context(), dir, "HEAD~2")
	if err != nil {
		t.Fatal(err)
	}
	if diff := mesh.Compare(before, world); len(diff.Allowed) != 3 || diff.New != 6 || diff.Still+diff.Denied+len(diff.Taken) != 0 {
		t.Errorf("against a base without a mesh: %+v", diff)
	}
	base, err := meshAt(t.Context(), dir, "HEAD~1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := mesh.Compare(base, world); !diff.Empty() || diff.Still != 3 {
		t.Errorf("against the same mesh: %+v", diff)
	}
	for ref, want := range map[string]string{"HEAD": "decode mesh definition", "gone": `no commit named "gone"`, "--all": `no commit named "--all"`} {
		if _, err := meshAt(t.Context(), dir, ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", ref, err, want)
		}
	}
}

func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, dir, message string) {
	t.Helper()
	run(t, dir, "-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "--allow-empty", "-m", message)
}

func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	command := exec.Command("git", args...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("git %v: %w: %s", args, err, out))
	}
}
