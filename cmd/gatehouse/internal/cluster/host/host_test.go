package host_test

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster/host"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

func TestSpec(t *testing.T) {
	want := host.Spec{
		Name: "client-1", Private: []string{"/run/netns"}, Network: []string{"link set lo up"}, Logs: t.TempDir(),
		Processes: []host.Process{{Name: "consul", Command: []string{"consul", "agent"}, Environ: []string{"PATH=/bin"}, Ready: []string{"true"}}},
	}
	file := filepath.Join(t.TempDir(), "host.json")
	if err := want.Write(file); err != nil {
		t.Fatal(err)
	}
	got, err := host.Read(file)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := host.Read(file + "x"); err == nil {
		t.Error("a file that is not there: no error")
	}
}

// A process starts once the one before it is ready, and again when it has ended.
func TestAgents(t *testing.T) {
	dir := t.TempDir()
	shell := func(script string) []string { return []string{"/bin/sh", "-c", "cd " + dir + " && " + script} }
	spec := host.Spec{Name: "h", Logs: dir, Processes: []host.Process{
		{Name: "first", Command: shell("echo $WORD; [ ! -e second ] || touch early; touch asked; while [ ! -e go ]; do sleep 0.05; done; touch ready; exec sleep 600"),
			Environ: []string{"PATH=/usr/bin:/bin", "WORD=hello"}, Ready: shell("[ -e ready ]")},
		{Name: "second", Command: shell("echo once >>second; exit 1"), Environ: []string{"PATH=/usr/bin:/bin"}},
	}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		host.Agents(ctx, spec, time.Now)
	}()
	has := func(name, text string) func() bool {
		return func() bool {
			raw, err := os.ReadFile(filepath.Join(dir, name))
			return err == nil && strings.Contains(string(raw), text)
		}
	}
	check.Eventually(t, "the first process starts", has("asked", ""))
	if has("second", "")() {
		t.Error("the second one did not wait")
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check.Eventually(t, "the second one starts, and again", has("second", "once\nonce\n"))
	check.Eventually(t, "the first one's log", has("h-first.log", "hello"))
	if has("early", "")() {
		t.Error("the second one was there before the first")
	}
	cancel()
	<-done
}

// Folders are named before they are made, from the outermost, and those that are there are not.
func TestMakeFolders(t *testing.T) {
	dir := t.TempDir()
	var made []string
	err := host.MakeFolders([]string{filepath.Join(dir, "run", "netns"), filepath.Join(dir, "run", "cni"), dir}, func(path string) error {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was made before it was named", path)
		}
		made = append(made, strings.TrimPrefix(path, dir))
		return nil
	})
	if want := []string{"/run", "/run/netns", "/run/cni"}; err != nil || !reflect.DeepEqual(made, want) {
		t.Errorf("%v, %v, want %v", made, err, want)
	}
}
