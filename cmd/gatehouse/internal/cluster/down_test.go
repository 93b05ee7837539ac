package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
)

// The groups of our allocations go from every tree, with what was not there before; those of a Nomad
// that runs on this machine besides stay.
func TestRemoveGroups(t *testing.T) {
	root, dir := t.TempDir(), prepared(t)
	gone := []string{"cpu/nomad", "cpuset/nomad/share/aaaa.serve", "memory/nomad/aaaa.serve"}
	kept := []string{"memory/nomad/bbbb.serve", "cpuset/nomad/share", "cpu/system"}
	for _, folder := range append(append([]string{"cpu/nomad/share/cccc.serve"}, gone...), kept...) {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(hostFolder(dir, "client-1"), "alloc", "aaaa"), 0o700); err != nil {
		t.Fatal(err)
	}
	record := Record{Hosts: []Host{{Name: "client-1"}, {Name: "client-2"}}, Groups: []string{filepath.Join(root, "cpu/nomad")}}
	if err := removeGroups(t.Context(), root, dir, record); err != nil {
		t.Fatal(err)
	}
	for _, folder := range gone {
		if _, err := os.Stat(filepath.Join(root, folder)); err == nil {
			t.Errorf("%s is still there", folder)
		}
	}
	for _, folder := range kept {
		if _, err := os.Stat(filepath.Join(root, folder)); err != nil {
			t.Error(err)
		}
	}
}

// Which of the two versions of control groups nobody has tried is said where it is met.
func TestGroupsThatWereNotTried(t *testing.T) {
	root := t.TempDir()
	for _, tree := range []string{"cpu", "memory", "unified"} {
		if err := os.Mkdir(filepath.Join(root, tree), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	groups, err := nomadGroups(root)
	if note := untriedGroups(root); note != "" || err != nil || len(groups) != 3 {
		t.Errorf("version 1: %q, %v, %v", note, groups, err)
	}
	if err := os.WriteFile(filepath.Join(root, "cgroup.controllers"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	groups, err = nomadGroups(root)
	if note := untriedGroups(root); !strings.Contains(note, "version 2") || err != nil || len(groups) != 1 {
		t.Errorf("version 2: %q, %v, %v", note, groups, err)
	}
}

// What a start that was killed had made is removed by its record, what somebody else uses is not, and
// logs stay.
func TestDownForgets(t *testing.T) {
	dir := prepared(t)
	made := []string{filepath.Join(t.TempDir(), "cni"), filepath.Join(t.TempDir(), "netns")}
	for _, folder := range made {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{filepath.Join(made[1], "somebodys"), dir.Log("client-1-nomad")} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := dir.WriteSecret(NomadToken, "secret"); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(hostFolder(dir, "client-1"), "alloc"), 0o700); err != nil {
		t.Fatal(err)
	}
	record := Record{Made: append(made, filepath.Join(made[0], "never")), Hosts: []Host{{Name: "client-1"}}}
	if err := record.write(dir); err != nil {
		t.Fatal(err)
	}
	if there, err := Down(t.Context(), dir); err != nil || !there {
		t.Fatalf("%v, %v", there, err)
	}
	for path, want := range map[string]bool{
		made[0]: false, made[1]: true, dir.SecretPath(NomadToken): false, hostFolder(dir, "client-1"): false, dir.Log("client-1-nomad"): true,
	} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it to be there: %v", path, err, want)
		}
	}
	if _, err := Read(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("afterwards: %v", err)
	}
	if there, err := Down(t.Context(), dir); err != nil || there {
		t.Errorf("again: %v, %v", there, err)
	}
}

// Who is at work is not interrupted: neither by a start nor by an end.
func TestOneAtATime(t *testing.T) {
	dir := prepared(t)
	record := Record{}
	if err := record.write(dir); err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Down(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "is at work") {
		t.Errorf("an end: %v", err)
	}
	if _, err := lock(dir); err == nil || !strings.Contains(err.Error(), "is at work") {
		t.Errorf("a start: %v", err)
	}
	unlock()
	if there, err := Down(t.Context(), dir); err != nil || !there {
		t.Errorf("afterwards: %v, %v", there, err)
	}
}

func prepared(t *testing.T) state.Dir {
	t.Helper()
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestALongPathIsRefused(t *testing.T) {
	dir, err := state.Open(filepath.Join(t.TempDir(), strings.Repeat("long", 10)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Begin(t.Context(), dir, Network{}); err == nil || !strings.Contains(err.Error(), "--state") {
		t.Errorf("%v", err)
	}
	if len(DefaultDir) > longestDir {
		t.Errorf("the default folder has %d characters of %d", len(DefaultDir), longestDir)
	}
}
