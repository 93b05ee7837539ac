package supervise_test

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/supervise"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

func started(t *testing.T, name string, args ...string) (*exec.Cmd, supervise.Identity) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
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
	return cmd, id
}

func TestIdentityIsNotAPIDAlone(t *testing.T) {
	_, id := started(t, "sleep", "1000")
	if !id.Alive() {
		t.Error("a living process counts as dead")
	}
	for name, other := range map[string]supervise.Identity{
		"another start": {PID: id.PID, Start: id.Start + 1, Boot: id.Boot},
		"another boot":  {PID: id.PID, Start: id.Start, Boot: "b"},
		"nothing":       {},
	} {
		if other.Alive() {
			t.Errorf("%s counts as the same process", name)
		}
	}
	self, err := supervise.Identify(os.Getpid())
	if err != nil || !self.Alive() {
		t.Errorf("this process: %v", err)
	}
}

func TestAZombieIsDead(t *testing.T) {
	cmd, id := started(t, "sleep", "1000")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	check.Eventually(t, "the killed process counts as dead before it is waited for", func() bool { return !id.Alive() })
}

// A program of many threads that is killed holds its ports until the last of them has ended, which may be after the first.
func TestAZombieWithLivingThreadsIsAlive(t *testing.T) {
	const script = `
import ctypes, sys, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
ctypes.CDLL(None).syscall(int(sys.argv[1]), 0)`
	cmd, id := started(t, "python3", "-c", script, strconv.Itoa(syscall.SYS_EXIT))
	stat := func() string {
		raw, err := os.ReadFile("/proc/" + strconv.Itoa(id.PID) + "/stat")
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	check.Eventually(t, "the first thread has ended", func() bool { return strings.Contains(stat(), ") Z ") })
	if !id.Alive() {
		t.Errorf("it counts as dead: %s", stat())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	check.Eventually(t, "it counts as dead once the others have ended", func() bool { return !id.Alive() })
}

func TestTerminate(t *testing.T) {
	for name, script := range map[string]string{"one that listens": "exec sleep 1000", "one that is deaf": "trap '' TERM; while :; do sleep 1; done"} {
		t.Run(name, func(t *testing.T) {
			_, id := started(t, "/bin/sh", "-c", script)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if err := id.Terminate(ctx, syscall.SIGTERM); err != nil || id.Alive() {
				t.Errorf("%v, alive: %v", err, id.Alive())
			}
		})
	}
	t.Run("a pid that is another process by now", func(t *testing.T) {
		_, id := started(t, "sleep", "1000")
		stale := id
		stale.Start++
		if err := stale.Terminate(t.Context(), syscall.SIGKILL); err != nil || !id.Alive() {
			t.Errorf("%v, the stranger lives: %v", err, id.Alive())
		}
	})
}
