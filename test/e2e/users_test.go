package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// running lists the platform's processes by name, with the name that `ps` shows.
func running(t testing.TB) (pids map[string]int, comms map[string]string) {
	t.Helper()
	status := platformStatus(t)
	pids, comms = map[string]int{"consul": status.Consul.PID}, map[string]string{"consul": "consul"}
	for _, s := range status.Services {
		pids[s.Name], comms[s.Name] = s.PID, s.Name
		pids[s.Name+"-sidecar"], comms[s.Name+"-sidecar"] = s.Sidecar.PID, "envoy"
	}
	return pids, comms
}

// userOf is who a process runs as: its real user and group, which must be the effective, saved and
// file system's ones too.
func userOf(t testing.TB, pid int) (id, group int) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	id, group = -1, -1
	for line := range strings.Lines(string(raw)) {
		name, rest, _ := strings.Cut(line, ":")
		values := strings.Fields(rest)
		switch name {
		case "Uid", "Gid":
			for _, value := range values {
				if value != values[0] {
					t.Errorf("process %d: %s", pid, line)
				}
			}
			if number, err := strconv.Atoi(values[0]); err == nil && name == "Uid" {
				id = number
			} else if err == nil {
				group = number
			}
		case "Groups":
			if os.Geteuid() == 0 && len(values) > 1 {
				t.Errorf("process %d: %s", pid, line)
			}
		}
	}
	return id, group
}

// R88: when `up` is root, every process is a user of its own; else all are that user. `ps` shows
// them by their names.
func TestEveryProcessIsAUserOfItsOwn(t *testing.T) {
	pids, comms := running(t)
	seen := map[int]string{}
	for name, pid := range pids {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(comm)); got != comms[name] {
			t.Errorf("ps calls %s %q, want %q", name, got, comms[name])
		}
		id, _ := userOf(t, pid)
		if os.Geteuid() != 0 {
			if id != os.Geteuid() {
				t.Errorf("%s is user %d", name, id)
			}
			continue
		}
		if other, twice := seen[id]; twice || id == 0 {
			t.Errorf("%s and %s are both user %d", name, other, id)
		}
		seen[id] = name
	}
}

// as runs a shell script as a user without a name.
func as(id, group int, script string) (string, error) {
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin"}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(id), Gid: uint32(group)}}
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// R88: no process's user can look into another process, nor into the state folder.
func TestNoProcessLooksIntoAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		return // all are one user, as the README says: nothing is kept apart
	}
	pids, _ := running(t)
	closed, err := filepath.Glob(filepath.Join(plat.State, "secrets", "*"))
	if err != nil || len(closed) < 10 {
		t.Fatalf("%d secrets, %v", len(closed), err)
	}
	for _, below := range []string{".gatehouse-run/*", ".gatehouse-run/*/*", "consul/*", "consul/*/*", "logs/*", "platform.json"} {
		more, err := filepath.Glob(filepath.Join(plat.State, below))
		if err != nil || len(more) == 0 {
			t.Fatalf("nothing in %s: %v", below, err)
		}
		closed = append(closed, more...)
	}
	looks := func(pid int) string {
		return fmt.Sprintf(`for f in environ mem maps fd/0 fd/1 fd/2 fd/3 fd/4 fd/5; do [ -r /proc/%d/$f ] && head -c 0 /proc/%d/$f 2>/dev/null && echo /proc/%d/$f; done; ls /proc/%d/fd; `, pid, pid, pid, pid)
	}
	for name, pid := range pids {
		id, group := userOf(t, pid)
		if out, _ := as(id, group, looks(pid)); !strings.Contains(out, fmt.Sprintf("/proc/%d/environ", pid)) {
			t.Errorf("%s's user cannot look into its own process, so this test proves nothing: %s", name, out)
		}
		var script strings.Builder
		for other, theirs := range pids {
			if other != name {
				script.WriteString(looks(theirs))
			}
		}
		for _, path := range closed {
			fmt.Fprintf(&script, "[ -r '%s' -o -w '%s' -o -x '%s' ] && echo '%s'; ", path, path, path, path)
		}
		out, err := as(id, group, "exec 2>/dev/null; "+script.String()+" echo end")
		if err != nil || out != "end\n" {
			t.Errorf("%s's user reads what is not its own: %v\n%s", name, err, out)
		}
	}
}

// Nobody else than root is told what runs, and everybody whose it is.
func TestAnotherUserAsks(t *testing.T) {
	id, whose := 65534, "belongs to root"
	state := plat.State
	if os.Geteuid() != 0 {
		id, state = os.Geteuid(), "/etc"
	}
	for _, command := range []string{"status", "logs", "env", "down", "up", "mesh verify", "audit list --email a@example.com"} {
		out, err := as(id, id, fmt.Sprintf("exec '%s' %s --state '%s'", filepath.Join(plat.Bin, "gatehouse"), command, state))
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !strings.Contains(out, whose) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %v, %q, want a sentence with %q", command, err, out, whose)
		}
	}
}
