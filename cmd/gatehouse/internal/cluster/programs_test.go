package cluster

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folderOf makes a folder of plugins that tell the version.
func folderOf(t *testing.T, version string, names ...string) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\necho 'CNI "+name+" plugin "+version+"' >&2\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestFindPlugins(t *testing.T) {
	good, old, untold := folderOf(t, "v1.9.0", plugins()...), folderOf(t, "v1.1.1", plugins()...), folderOf(t, "version unknown", plugins()...)
	some := folderOf(t, "v1.9.0", plugins()[1:]...)
	if got, err := findPlugins(t.Context(), t.TempDir(), old, untold, some, good); err != nil || got != good {
		t.Errorf("%s, %v, want %s", got, err, good)
	}
	for folder, want := range map[string]string{old: "is 1.1.1", untold: "does not say its version", some: "were not found: run", t.TempDir(): "were not found: run"} {
		if _, err := findPlugins(t.Context(), folder); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "make tools") {
			t.Errorf("%v, want it to say %q and what to do", err, want)
		}
	}
}

// A command of the system that is missing is named, with what to install.
func TestAMissingCommandIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := checkSystem(t.Context()); err == nil || !strings.Contains(err.Error(), "apt-get install") {
		t.Errorf("%v", err)
	}
}

// A part of the kernel that is missing is named with the module to load, in the words of the command
// that found out.
func TestAMissingModuleIsNamed(t *testing.T) {
	for what, c := range map[string]struct{ command, says, load string }{
		"bridges":             {"ip", "Error: Unknown device type.", "`modprobe bridge`"},
		"pairs of links":      {"ip", "RTNETLINK answers: Operation not supported", "`modprobe veth`"},
		"address translation": {"iptables", "Warning: Extension MASQUERADE revision 0 not supported, missing kernel module?\niptables v1.8.9 (nf_tables): RULE_APPEND failed", "`modprobe iptable_nat`"},
	} {
		i := slices.IndexFunc(parts(), func(p part) bool { return strings.HasPrefix(p.what, what) })
		if i < 0 {
			t.Fatalf("nobody looks for %s", what)
		}
		answers := func(script string) error {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, c.command), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", folder)
			return parts()[i].try(t.Context(), nil)
		}
		err := answers("/bin/cat <<E >&2\n" + c.says + "\nE\nexit 2\n")
		if err == nil || !strings.Contains(err.Error(), strings.Join(strings.Fields(c.says), " ")) || !strings.Contains(err.Error(), c.load) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
		if err := answers("exit 0\n"); err != nil {
			t.Errorf("%s are there: %v", what, err)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
