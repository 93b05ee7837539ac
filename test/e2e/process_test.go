package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

var errNone = errors.New("no transport error")

// errOr lets a message show "no transport error" beside a wrong status.
func errOr(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

// descendants are the processes below pid, from /proc.
func descendants(t testing.TB, pid int) []int {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	children := map[int][]int{}
	for _, path := range entries {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// pid (comm) state ppid …; comm may hold anything, so cut behind the last ')'.
		fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		parent, _ := strconv.Atoi(fields[1])
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		children[parent] = append(children[parent], child)
	}
	var all []int
	var walk func(int)
	walk = func(p int) {
		for _, c := range children[p] {
			all = append(all, c)
			walk(c)
		}
	}
	walk(pid)
	return all
}

// Whatever dies, the platform heals without hands: alone, or together with others.
func TestHealing(t *testing.T) {
	for _, victims := range [][]string{
		{"identity", "audit"}, {"auth", "authz", "gateway"}, {"postgres"}, {"consul"},
		{"identity sidecar", "audit sidecar", "gateway sidecar"}, {"auth sidecar", "authz sidecar", "postgres sidecar"},
	} {
		t.Run(strings.Join(victims, " and "), func(t *testing.T) {
			pids := map[string]int{}
			for _, victim := range victims {
				pids[victim] = victimPID(t, victim)
				if err := syscall.Kill(pids[victim], syscall.SIGKILL); err != nil {
					t.Fatalf("kill %s (%d): %v", victim, pids[victim], err)
				}
			}
			check.Within(t, 30*time.Second, "healed", func() error {
				for victim, pid := range pids {
					// Until the supervisor has a new process, an old answer proves nothing.
					if now := victimPID(t, victim); now == pid || now == 0 {
						return fmt.Errorf("%s is still the dead process", victim)
					}
				}
				if err := roundTrip(t); err != nil {
					return err
				}
				return healthy(t)
			})
		})
	}
}

func victimPID(t testing.TB, victim string) int {
	t.Helper()
	if victim == "consul" {
		return platformStatus(t).Consul.PID
	}
	name, sidecar, found := strings.Cut(victim, " ")
	s := serviceOf(t, name)
	if found && sidecar == "sidecar" {
		return s.Sidecar.PID
	}
	return s.PID
}

// supervisors are the processes of `gatehouse up` for the suite's state folder.
func supervisors(t testing.TB) []int {
	t.Helper()
	var pids []int
	for pid, cmdline := range processesNaming(t, plat.State) {
		if strings.Contains(cmdline, "gatehouse") && strings.Contains(cmdline, " up ") {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		t.Fatal("no `gatehouse up` runs for the suite's state folder")
	}
	return pids
}

// processesNaming lists the running processes whose command line holds text.
func processesNaming(t testing.TB, text string) map[int]string {
	t.Helper()
	found := map[int]string{}
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		cmdline := strings.ReplaceAll(string(raw), "\x00", " ")
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if pid != os.Getpid() && strings.Contains(cmdline, text) {
			found[pid] = cmdline
		}
	}
	return found
}

// gone fails the test for every process of before that still runs.
func gone(t testing.TB, before map[int]string) {
	t.Helper()
	for pid, name := range before {
		if runs(pid) {
			t.Errorf("%s (%d) still runs", name, pid)
		}
	}
}

// runs reports whether a process has not ended; one that nobody has waited for yet has.
func runs(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(raw), ") Z ")
}

// processesOf are all processes of a platform: its supervisor and everything below it.
func processesOf(t testing.TB, p *platform.Platform) map[int]string {
	t.Helper()
	found := map[int]string{}
	for pid, cmdline := range processesNaming(t, p.State) {
		found[pid] = cmdline
		for _, child := range descendants(t, pid) {
			raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child))
			if err == nil {
				found[child] = strings.TrimSpace(string(raw))
			}
		}
	}
	// The supervisor, Consul, PostgreSQL with its sidecar, and each of five programs with its own.
	if len(found) < 14 {
		t.Fatalf("only %d processes found: %v", len(found), found)
	}
	return found
}

func killHard(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// openToAll lets the database's unprivileged user pass through a test's folder.
func openToAll(t testing.TB, dir string) {
	t.Helper()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
