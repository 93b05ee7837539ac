package state_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

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

func TestSecretsAreMadeOnceAndPrivate(t *testing.T) {
	dir := prepared(t)
	first, err := dir.Secret("key", state.Key)
	if err != nil {
		t.Fatal(err)
	}
	second, err := dir.Secret("key", func() (string, error) { return "", errors.New("asked again") })
	if err != nil || second != first {
		t.Errorf("%q then %q, %v", first, second, err)
	}
	for path, want := range map[string]os.FileMode{dir.SecretPath("key"): 0o600, filepath.Dir(dir.SecretPath("key")): 0o700} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %o", path, info.Mode(), err, want)
		}
	}
}

// Others of this machine may pass through to PostgreSQL's data, which has a user of its own, and read nothing; also where an older
// version made the folder.
func TestFoldersAreClosed(t *testing.T) {
	root := filepath.Join(t.TempDir(), "state")
	for _, folder := range []string{root, filepath.Join(root, "logs")} {
		if err := os.Mkdir(folder, 0o755); err != nil { // as it was
			t.Fatal(err)
		}
	}
	dir, err := state.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(root); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("a folder that was not a state folder: %v, %v, want the mode that it had", info.Mode(), err)
	}
	unlock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{root: 0o711, dir.Logs(): 0o700, filepath.Dir(dir.Consul()): 0o700} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %o", path, info.Mode(), err, want)
		}
	}
}

func TestGeneratedSecretsDiffer(t *testing.T) {
	for name, generate := range map[string]func() (string, error){"key": state.Key, "password": state.Password, "token": state.Token} {
		one, err := generate()
		two, err2 := generate()
		if err != nil || err2 != nil || one == two || len(one) < 36 {
			t.Errorf("%s: %q, %q, %v, %v", name, one, two, err, err2)
		}
		if name == "password" && strings.ContainsAny(one, "+/=@:") {
			t.Errorf("a password that must be escaped in a URL: %q", one)
		}
	}
}

func TestOneUpPerFolder(t *testing.T) {
	dir := prepared(t)
	unlock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Lock(); err == nil || !strings.Contains(err.Error(), "gatehouse down") {
		t.Errorf("a second lock: %v", err)
	}
	unlock()
	unlock, err = dir.Lock()
	if err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
	unlock()
}

func TestAFolderThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if _, err := state.Open(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "--state") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestNothingRuns(t *testing.T) {
	dir := prepared(t)
	if _, err := dir.Running(); !errors.Is(err, state.ErrNotRunning) {
		t.Errorf("an empty folder: %v", err)
	}
	dead := supervise.Identity{PID: os.Getpid(), Start: 1, Boot: "another"}
	if err := dir.Write(state.Record{Supervisor: dead}); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Running(); !errors.Is(err, state.ErrNotRunning) {
		t.Errorf("a dead supervisor: %v", err)
	}
}

// Clean ends exactly the processes of the record: not one that got the pid of a dead one.
func TestCleanEndsLeftovers(t *testing.T) {
	dir := prepared(t)
	var record state.Record
	var stranger supervise.Identity
	for _, name := range []string{"consul", "postgres", "stranger"} {
		cmd := exec.Command("sleep", "1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		id, err := supervise.Identify(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if name == "stranger" {
			stranger = id
			id.Start++
		}
		record.Processes = append(record.Processes, state.Process{Name: name, Identity: id})
	}
	if err := dir.Write(record); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir.Root(), "run", "x") // --state may name a folder that others use, too
	for _, folder := range []string{filepath.Join(dir.Run(), "auth"), foreign} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ended, err := dir.Clean(t.Context())
	if err != nil || strings.Join(ended, " ") != "postgres consul" {
		t.Errorf("ended %v, %v, want the newest first", ended, err)
	}
	for _, p := range record.Processes {
		if p.Alive() {
			t.Errorf("%s still runs", p.Name)
		}
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("a folder that is not ours: %v", err)
	}
	if _, err := os.Stat(dir.Run()); os.Geteuid() == 0 && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what its processes were given is still there: %v", err)
	}
	if !stranger.Alive() {
		t.Error("a stranger with the pid of a dead process was ended")
	}
	if _, err := dir.Read(); !errors.Is(err, state.ErrNotRunning) {
		t.Errorf("the record after cleaning up: %v", err)
	}
}

// A secret that is forgotten is gone, and one that never was is no error.
func TestSecretsAreForgotten(t *testing.T) {
	dir := prepared(t)
	if err := dir.WriteSecret("a.key", "secret"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := dir.RemoveSecret("a.key"); err != nil {
			t.Error(err)
		}
		if _, err := dir.ReadSecret("a.key"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is there still: %v", err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir.SecretPath("folder"), "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := dir.RemoveSecret("folder"); err == nil {
		t.Error("what is no secret was removed")
	}
}
