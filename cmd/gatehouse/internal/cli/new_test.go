package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

// A new service is written where nothing else has changed, and tells what comes next.
func TestNewService(t *testing.T) {
	dir := t.TempDir()
	begin := func() (int, string) {
		var out strings.Builder
		console := Console{Args: []string{"new", "service", "billing"}, Out: &out, Err: &out, Now: time.Now}
		return Main(console), out.String()
	}
	t.Chdir(dir)
	if code, out := begin(); code == 0 || !strings.Contains(out, "run this inside a checkout of Gatehouse") {
		t.Errorf("outside of a checkout: %d, %s", code, out)
	}
	write(t, filepath.Join(dir, mesh.File), []byte("{}"))
	write(t, filepath.Join(dir, "proto/gatehouse/a/v1/a.proto"), []byte("  port: 8080\n"))
	run(t, dir, "init", "--quiet")
	if code, out := begin(); code == 0 || !strings.Contains(out, "not committed") || strings.Count(out, "\n") != 1 {
		t.Errorf("with changes: %d, %s", code, out)
	}
	run(t, dir, "add", ".")
	commit(t, dir, "begin")
	folder := filepath.Join(dir, "proto")
	t.Chdir(folder) // anywhere in the checkout
	code, out := begin()
	if code != 0 || !strings.Contains(out, "services/billing/README.md\n") || !strings.Contains(out, "next: make generate build") {
		t.Errorf("%d, %s", code, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "services/billing/cmd/billing/main.go")); err != nil {
		t.Error(err)
	}
	if err := unchanged(t.Context(), t.TempDir()); err != nil {
		t.Errorf("a folder without git: %v", err)
	}
}
