package cluster

import (
	"os"
	"path/filepath"
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

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
