package archtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What `make` builds does not depend on the shell: a workspace above the checkout, another module
// mode, settings of `go env -w`. Flags that change no module stay.
func TestMakeDecidesTheModules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"go.work": "go 1.26\n", "env": "GOFLAGS=-mod=vendor\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ variable, flags string }{
		"nothing":              {"GOFLAGS=", ""},
		"a vendor folder":      {"GOFLAGS=-mod=vendor -p=1", "-p=1 "},
		"another module file":  {"GOFLAGS=--modfile=other.mod", ""},
		"a workspace":          {"GOWORK=" + filepath.Join(dir, "go.work"), ""},
		"settings of go env":   {"GOENV=" + filepath.Join(dir, "env"), ""},
		"flags for every tool": {"GOFLAGS=-trimpath -p=1", "-p=1 "},
	} {
		cmd := exec.Command("make", "-s", "-C", "../..", "--eval", "probe: ; @go list ./cmd/gatehouse && echo $$GOFLAGS", "probe")
		cmd.Env = append(slices.DeleteFunc(os.Environ(), func(pair string) bool {
			return strings.HasPrefix(pair, "GOFLAGS=") || strings.HasPrefix(pair, "GOWORK=") || strings.HasPrefix(pair, "MAKE") || strings.HasPrefix(pair, "MFLAGS=")
		}), c.variable)
		out, err := cmd.CombinedOutput()
		if want := module + "cmd/gatehouse\n" + c.flags + "-mod=readonly -trimpath\n"; err != nil || string(out) != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, out, want)
		}
	}
}
