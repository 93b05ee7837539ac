package platform

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/plan"
)

// seatedPlatform is a platform whose auth is a script, in a folder that is closed to others as
// those below /root are.
func seatedPlatform(t *testing.T, mode os.FileMode, script string, environ ...string) *Platform {
	t.Helper()
	p := testPlatform(t, environ...)
	closed := filepath.Join(t.TempDir(), "closed")
	program := filepath.Join(closed, "auth")
	if err := errors.Join(os.Mkdir(closed, 0o700), os.WriteFile(program, []byte("#!/bin/sh\n"+script), 0o600), os.Chmod(program, mode)); err != nil {
		t.Fatal(err)
	}
	p.opts.Programs.Own["auth"] = program
	if err := p.opts.Dir.WriteSecret(plan.URLFile("auth"), "postgres://"); err != nil {
		t.Fatal(err)
	}
	if err := p.seats.assign(p.opts.Dir, 39000, p.seated()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.seats.remove)
	return p
}

// output is what a command says, as the supervisor would start it.
func output(t *testing.T, cmd *exec.Cmd, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer discard(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// R88: as root a program is a user of its own and has its files, and nothing else of the state
// folder; else it is this user.
func TestAProgramAsItsOwnUser(t *testing.T) {
	for name, mode := range map[string]os.FileMode{"a program": 0o755, "a program that only its owner may execute": 0o700} {
		t.Run(name, func(t *testing.T) {
			p := seatedPlatform(t, mode, `
echo uid $(id -u) gid $(id -g) groups $(id -G)
echo comm $(cat /proc/$$/comm)
grep CapAmb /proc/self/status
grep CapEff /proc/self/status
wc -c < "$GATEHOUSE_AUTH_KEY_FILE"
stat -L -c 'mode %a' "$GATEHOUSE_AUTH_KEY_FILE"
for path in "$STATE/secrets/auth-encryption.key" /dev/fd/3/../ /dev/fd/3/../consul; do ls "$path" > /dev/null 2>&1 && echo open "$path"; done
( : > /dev/fd/3/new ) 2> /dev/null && echo writes its folder
exit 0
`)
			cmd, err := p.program(processOf(t, p, "auth", plan.Serve))
			cmd.Env = append(cmd.Env, "STATE="+p.opts.Dir.Root())
			out := output(t, cmd, err)
			wants := []string{"comm auth\n", "CapAmb:\t0000000000000000\n", "\n45\n", "mode 600\n"}
			if os.Geteuid() == 0 {
				id := strconv.Itoa(p.seats.users["auth"])
				wants = append(wants, "uid "+id+" gid "+id+" groups "+id+"\n", "CapEff:\t0000000000000000\n")
				for _, not := range []string{"open ", "writes"} {
					if strings.Contains(out, not) {
						t.Errorf("it can do too much: %s", out)
					}
				}
			}
			for _, want := range wants {
				if !strings.Contains(out, want) {
					t.Errorf("%q is missing: %s", want, out)
				}
			}
		})
	}
}

// R88: no two processes share a user, not even a program and its migration.
func TestNoTwoProcessesShareAUser(t *testing.T) {
	p := seatedPlatform(t, 0o755, "id -u; id -G\n")
	if os.Geteuid() != 0 {
		if len(p.seats.users) != 0 {
			t.Errorf("an ordinary user has %v", p.seats.users)
		}
		return
	}
	seen := map[int]string{}
	for _, process := range p.seated() {
		id := p.seats.users[process]
		if other, twice := seen[id]; twice || id == 0 {
			t.Errorf("%s and %s are both %d", process, other, id)
		}
		seen[id] = process
	}
	serve, err := p.program(processOf(t, p, "auth", plan.Serve))
	serving := output(t, serve, err)
	migrate, err := p.program(processOf(t, p, "auth", plan.Migrate))
	if migrating := output(t, migrate, err); migrating == serving {
		t.Errorf("both are %s", serving)
	}
}

// R88: the edge may listen where root may, and only it, and only when it has to.
func TestAPortOfRoots(t *testing.T) {
	p := seatedPlatform(t, 0o755, "grep CapEff /proc/self/status\n")
	p.opts.Programs.Own["gateway"] = p.opts.Programs.Own["auth"]
	for _, c := range []struct{ program, address, want string }{
		{"gateway", "0.0.0.0:443", "0000000000000400"}, {"gateway", ":https", "0000000000000400"}, {"gateway", "127.0.0.1:8080", "0000000000000000"}, {"auth", ":443", "0000000000000000"},
	} {
		p.opts.Gateway.Address = c.address
		cmd, err := p.program(processOf(t, p, c.program, plan.Serve))
		if out := output(t, cmd, err); os.Geteuid() == 0 && !strings.Contains(out, c.want) {
			t.Errorf("%s on %s: %s", c.program, c.address, out)
		}
	}
}

// A file of the operator's reaches the program whose variable names it, and so does a new version
// of it. One that is not there is left to the program.
func TestAFileOfTheOperators(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.pem")
	p := seatedPlatform(t, 0o755, `cat "$GATEHOUSE_GATEWAY_TLS_KEY_FILE"; echo "$GATEHOUSE_GATEWAY_TLS_CERT_FILE"`,
		"GATEHOUSE_GATEWAY_TLS_KEY_FILE="+key, "GATEHOUSE_GATEWAY_TLS_CERT_FILE=/nowhere/cert.pem")
	p.opts.Programs.Own["gateway"] = p.opts.Programs.Own["auth"]
	replace := func(text string) {
		if err := errors.Join(os.WriteFile(key+".new", []byte(text), 0o600), os.Rename(key+".new", key)); err != nil {
			t.Fatal(err)
		}
	}
	replace("first\n")
	cmd, err := p.program(processOf(t, p, "gateway", plan.Serve))
	if out := output(t, cmd, err); out != "first\n/nowhere/cert.pem\n" {
		t.Errorf("%q", out)
	}
	if os.Geteuid() != 0 {
		return // the file itself is used
	}
	copied := filepath.Join(p.opts.Dir.Run(), "gateway", "GATEHOUSE_GATEWAY_TLS_KEY_FILE")
	has := func(want string) {
		t.Helper()
		if raw, err := os.ReadFile(copied); err != nil || string(raw) != want {
			t.Errorf("%q, %v, want %q", raw, err, want)
		}
	}
	before, err := os.Stat(copied)
	if err != nil {
		t.Fatal(err)
	}
	p.seats.refresh()
	if after, err := os.Stat(copied); err != nil || !os.SameFile(before, after) {
		t.Errorf("copied again without a change: %v", err)
	}
	replace("second\n")
	p.seats.refresh()
	has("second\n")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	p.seats.refresh()
	has("second\n")
	replace("third\n")
	stop := background(p.seats.keepFresh)
	defer stop()
	deadline := time.Now().Add(20 * time.Second)
	for raw := []byte(nil); !bytes.Equal(raw, []byte("third\n")); raw, _ = os.ReadFile(copied) {
		if time.Now().After(deadline) {
			t.Fatal("it was not renewed in time")
		}
	}
}

// R88: a file that is not handed over is not a reason to start without it, unless it is the
// operator's and not there.
func TestAFileThatIsNotHandedOver(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	for name, spoil := range map[string]func(*Platform) error{
		"the platform's secret is gone": func(p *Platform) error {
			return os.Remove(p.opts.Dir.SecretPath(plan.URLFile("auth")))
		},
		"no place for the copies": func(p *Platform) error { return os.RemoveAll(filepath.Join(p.opts.Dir.Run(), "auth")) },
		"the operator's is large": func(*Platform) error { return os.Truncate(key, mostBytes+1) },
	} {
		t.Run(name, func(t *testing.T) {
			p := seatedPlatform(t, 0o755, "exit 0\n", "GATEHOUSE_AUTH_KEY_FILE="+key)
			if err := os.WriteFile(key, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd, err := p.program(processOf(t, p, "auth", plan.Serve))
			if err != nil {
				t.Fatal(err)
			}
			discard(cmd)
			if err := spoil(p); err != nil {
				t.Fatal(err)
			}
			if cmd, err = p.program(processOf(t, p, "auth", plan.Serve)); err == nil {
				discard(cmd)
				if os.Geteuid() == 0 {
					t.Error("no error")
				}
			}
		})
	}
}

// An older version's data belong to root; what is linked to elsewhere is not ours to give.
func TestConsulsData(t *testing.T) {
	p := seatedPlatform(t, 0o755, "find -L $DATA -user $(id -u) | wc -l; echo new > $DATA/raft/new && cat $DATA/raft/raft.db\n")
	p.opts.Programs.Consul.Path = p.opts.Programs.Own["auth"]
	data := p.opts.Dir.Consul()
	if err := p.opts.Dir.MakeConsul(); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "target")
	for _, err := range []error{
		os.Mkdir(filepath.Join(data, "raft"), 0o700), os.WriteFile(filepath.Join(data, "raft", "raft.db"), []byte("kept\n"), 0o600),
		os.WriteFile(target, nil, 0o600), os.Symlink(target, filepath.Join(data, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	hand := func() (string, error) {
		cmd, err := p.consulCommand(t.Context(), "agent")
		if err != nil {
			t.Fatal(err)
		}
		path, err := p.seats.own(cmd, state.ConsulProcess, data)
		if err != nil {
			discard(cmd)
			return "", err
		}
		cmd.Env = append(cmd.Env, "DATA="+path+"/.")
		return output(t, cmd, nil), nil
	}
	changed := func() syscall.Timespec {
		var stat syscall.Stat_t
		if err := syscall.Stat(filepath.Join(data, "raft", "raft.db"), &stat); err != nil {
			t.Fatal(err)
		}
		return stat.Ctim
	}
	var first syscall.Timespec
	for range 2 {
		if out, err := hand(); err != nil || !strings.HasSuffix(out, "kept\n") {
			t.Errorf("%q, %v", out, err)
		}
		if first.Nano() == 0 {
			first = changed()
		}
	}
	if changed() != first {
		t.Error("what belongs to the user already was given again")
	}
	if around := filepath.Dir(data); owner(t, around) != os.Getuid() {
		t.Error("the folder around the data was given away: it is what closes them once the number is another's")
	}
	if info, err := os.Stat(target); err != nil || !info.Mode().IsRegular() || owner(t, target) != os.Getuid() {
		t.Errorf("a file was given away through a link: %v", err)
	}
	if err := os.Link(target, filepath.Join(data, "raft", "hard")); err != nil {
		t.Fatal(err)
	}
	if _, err := hand(); os.Geteuid() == 0 && (err == nil || !strings.Contains(err.Error(), "raft/hard")) {
		t.Errorf("a file with another name: %v", err)
	}
	if owner(t, target) != os.Getuid() {
		t.Error("a file was given away by its other name")
	}
}

// What a killed `up` left is gone, and nothing is left after the end.
func TestNothingIsLeft(t *testing.T) {
	p := testPlatform(t)
	run, foreign := p.opts.Dir.Run(), filepath.Join(p.opts.Dir.Root(), "run", "x")
	for _, folder := range []string{filepath.Join(run, "auth", "old"), foreign} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.seats.assign(p.opts.Dir, 39000, p.seated()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(run, "auth", "old")); os.Geteuid() == 0 && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left: %v", err)
	}
	p.seats.remove()
	if _, err := os.Stat(run); os.Geteuid() == 0 && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("a folder that is not ours: %v", err)
	}
}

func owner(t *testing.T, path string) int {
	t.Helper()
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return int(stat.Uid)
}
