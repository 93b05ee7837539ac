package cli_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cli"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/supervise"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// commandVariable turns this test program into the operator's command, which a test runs as another
// user.
const commandVariable = "CLI_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandVariable) != "" || (len(os.Args) > 1 && os.Args[1] == "up") { // its background half
		console := cli.Console{Args: os.Args[1:], Out: os.Stdout, Err: os.Stderr, Now: time.Now}
		if os.Getenv(commandVariable) == "environ" {
			console.Environ = os.Environ()
		}
		os.Exit(cli.Main(console))
	}
	os.Exit(m.Run())
}

const nobody = 65534

// readers are all commands that use a state folder.
func readers() map[string][]string {
	return map[string][]string{
		"up": {"up"}, "up in the background": {"up", "--detach"}, "down": {"down"}, "status": {"status"}, "logs": {"logs"},
		"one log": {"logs", "auth"}, "env": {"env"}, "mesh verify": {"mesh", "verify"}, "mesh denied": {"mesh", "denied"},
		"audit list": {"audit", "list", "--email", "a@example.com"}, "audit tail": {"audit", "tail", "--email", "a@example.com"},
	}
}

// victim is a process that a planted record names, and a gateway of the planter's that notes who
// came.
type victim struct {
	supervise.Identity
	gateway string
	visits  atomic.Int32
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { v.visits.Add(1) }))
	t.Cleanup(server.Close)
	v.gateway = server.URL
	child := exec.Command("sleep", "1000")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	var err error
	if v.Identity, err = supervise.Identify(child.Process.Pid); err != nil {
		t.Fatal(err)
	}
	return v
}

// plant makes a state folder whose record names the victim.
func (v *victim) plant(t *testing.T) state.Dir {
	t.Helper()
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	record := state.Record{Supervisor: v.Identity, Gateway: v.gateway, Consul: strings.TrimPrefix(v.gateway, "http://"),
		Processes: []state.Process{{Name: "consul", Identity: v.Identity}}}
	if err := dir.Write(record); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"consul-management.token", "postgres-superuser.password"} {
		if err := dir.WriteSecret(secret, "planted"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir.Log("auth"), []byte("planted\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// planters make of a good state folder one that somebody else has made, or could have.
func planters() map[string]func(root string) error {
	all := map[string]func(string) error{
		"others can write in it":      func(root string) error { return os.Chmod(root, 0o777) },
		"others can write next to it": func(root string) error { return os.Chmod(filepath.Dir(root), 0o777) },
		"others can write its secrets": func(root string) error {
			return os.Chmod(filepath.Join(root, "secrets"), 0o777)
		},
		"its logs are a link": func(root string) error { return link(filepath.Join(root, "logs")) },
	}
	if os.Geteuid() == 0 {
		give := func(path string) error { return os.Lchown(path, nobody, nobody) }
		all["all of it is another user's"] = func(root string) error {
			return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
				if err == nil {
					err = give(path)
				}
				return err
			})
		}
		all["it is another user's"] = give
		all["it lies in another user's"] = func(root string) error { return give(filepath.Dir(root)) }
	}
	return all
}

// link puts a link in the place of something.
func link(path string) error {
	if err := os.Rename(path, path+".real"); err != nil {
		return err
	}
	return os.Symlink(path+".real", path)
}

// R88: no command does what somebody else's state folder says.
func TestAStateFolderOfSomebodyElse(t *testing.T) {
	for name, planter := range planters() {
		t.Run(name, func(t *testing.T) {
			v := newVictim(t)
			dir := v.plant(t)
			if err := planter(dir.Root()); err != nil {
				t.Fatal(err)
			}
			before := listing(t, dir.Root())
			for command, args := range readers() {
				code, out, problem := run(t, []string{"GATEHOUSE_CLI_PASSWORD=hunter2"}, append(args, "--state", dir.Root())...)
				if code == 0 || !strings.Contains(problem, "cannot be used") || strings.Count(problem, "\n") != 1 || out != "" {
					t.Errorf("%s: exit code %d, %q, %q", command, code, out, problem)
				}
			}
			if !v.Alive() {
				t.Error("the process that the record names was ended")
			}
			if n := v.visits.Load(); n != 0 {
				t.Errorf("the address that the record names was asked %d times", n)
			}
			if after := listing(t, dir.Root()); after != before {
				t.Errorf("the folder was\n%sand is\n%s", before, after)
			}
		})
	}
}

// R88: a single file of another origin is refused too.
func TestAPlantedFile(t *testing.T) {
	for name, planter := range map[string]func(string) error{
		"others can write it": func(path string) error { return os.Chmod(path, 0o666) },
		"a link":              link,
	} {
		for file, args := range map[string][]string{
			"platform.json": {"down"}, "up.lock": {"down"}, "logs/auth.log": {"logs"}, "logs/up.log": {"up", "--detach"},
			"secrets/consul-management.token": {"mesh", "verify"},
		} {
			t.Run(file+": "+name, func(t *testing.T) {
				v := newVictim(t)
				dir := v.plant(t)
				path := filepath.Join(dir.Root(), file)
				if file == "up.lock" {
					v.orphan(t, dir)
				}
				f, err := os.OpenFile(path, os.O_CREATE, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				_ = f.Close()
				if err := planter(path); err != nil {
					t.Fatal(err)
				}
				code, _, problem := run(t, nil, append(args, "--state", dir.Root())...)
				if code == 0 || !strings.Contains(problem, path) || strings.Count(problem, "\n") != 1 {
					t.Errorf("exit code %d, %q", code, problem)
				}
				if !v.Alive() {
					t.Error("the process that the record names was ended")
				}
			})
		}
	}
}

// R88: the folder that somebody stands in gives no program to `up`.
func TestNoProgramOfTheWorkingFolder(t *testing.T) {
	here, programs := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(here, ".bin"), 0o755); err != nil { // others may look in, as at home
		t.Fatal(err)
	}
	for _, path := range []string{".bin/consul", ".bin/envoy", "consul", "envoy"} {
		writeProgram(t, filepath.Join(here, path), "touch '"+here+"/ran'; echo 'Consul v1.22.0'")
	}
	def := meshtest.Definition(t)
	for _, program := range def.Programs {
		writeProgram(t, filepath.Join(programs, program.Name), "")
	}
	t.Chdir(here)
	for _, path := range []string{"/nowhere", ".:.bin:"} {
		t.Setenv("PATH", path)
		code, _, problem := run(t, nil, "up", "--state", filepath.Join(here, "state"), "--bin-dir", programs)
		if code == 0 || !strings.Contains(problem, "was not found") {
			t.Errorf("PATH %s: exit code %d, %q", path, code, problem)
		}
		if _, err := os.Stat(filepath.Join(here, "ran")); err == nil {
			t.Fatalf("PATH %s: a program of the working folder was run", path)
		}
	}
}

func writeProgram(t *testing.T, path, script string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil { // a program
		t.Fatal(err)
	}
}

// orphan writes a record whose supervisor is gone.
func (v *victim) orphan(t *testing.T, dir state.Dir) {
	t.Helper()
	if err := dir.Write(state.Record{Supervisor: supervise.Identity{PID: v.PID, Start: 1, Boot: "another"},
		Processes: []state.Process{{Name: "consul", Identity: v.Identity}}}); err != nil {
		t.Fatal(err)
	}
}

// R88: another user is told whose folder it is.
func TestSomebodyElseAsks(t *testing.T) {
	root, owner, coverage := "/etc", "root", t.TempDir()
	if os.Geteuid() == 0 {
		parent, err := os.MkdirTemp("", "cli-test-") // not t.TempDir, which others cannot enter
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(parent) })
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
		dir, err := state.Open(filepath.Join(parent, "state"))
		if err != nil {
			t.Fatal(err)
		}
		if err := dir.Prepare(); err != nil {
			t.Fatal(err)
		}
		root, coverage = dir.Root(), filepath.Join(parent, "coverage")
		if err := errors.Join(os.Mkdir(coverage, 0o777), os.Chmod(coverage, 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	for _, place := range []string{root, "/root/somewhere"} {
		for command, args := range readers() {
			cmd := exec.Command("/proc/self/exe", append(args, "--state", place)...)
			cmd.Env = []string{commandVariable + "=1", "GOCOVERDIR=" + coverage} // without it, one says so under -cover
			cmd.Dir = "/"
			if os.Geteuid() == 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			}
			out, err := cmd.CombinedOutput()
			if want := fmt.Sprintf("belongs to %s", owner); err == nil || !strings.Contains(string(out), want) || strings.Count(string(out), "\n") != 1 {
				t.Errorf("%s of %s: %v, %q, want a sentence with %q", command, place, err, out, want)
			}
		}
	}
}

// listing is what is in a folder, and whose.
func listing(t *testing.T, root string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stat, _ := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&all, "%s %s %d\n", path, info.Mode(), stat.Uid)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
