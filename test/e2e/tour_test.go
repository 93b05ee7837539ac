package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// The README's tour is what a stranger tries first: it runs here, word for word, on a platform that nobody has used yet, because the
// first administrator is made once.
func TestReadmeTour(t *testing.T) {
	dir := t.TempDir()
	openToAll(t, dir)
	fresh := plat.Copy(filepath.Join(dir, "state"), 7000)
	if err := fresh.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fresh.Down(); err != nil {
			t.Error(err)
		}
	})
	raw, err := os.ReadFile(filepath.Join(plat.Root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)<!-- tour:begin -->\\s*```(?:bash|sh)\n(.*?)```\\s*<!-- tour:end -->").FindSubmatch(raw)
	if block == nil {
		t.Fatal("README.md has no block between <!-- tour:begin --> and <!-- tour:end -->")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", string(block[1]))
	cmd.Env = append(os.Environ(), "GATEHOUSE_URL="+fresh.URL(), "GATEHOUSE_CLI_STATE="+fresh.State)
	cmd.Dir = t.TempDir()
	if err := os.Symlink(plat.Bin, filepath.Join(cmd.Dir, ".bin")); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the tour stops: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}
