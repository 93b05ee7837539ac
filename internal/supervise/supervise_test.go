package supervise_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/gatehouse/gatehouse/internal/supervise"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// childVariable turns this test program into a supervisor that the test can kill.
const childVariable = "SUPERVISE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		superviseUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

func superviseUntilKilled(dir string) {
	group := supervise.New(supervise.Options{Now: time.Now, Changed: func(running []supervise.Running) {
		for _, one := range running {
			fmt.Println(one.Identity.PID) // the parent reads it
		}
	}})
	group.Start(supervise.Spec{Name: "sleeper", Log: filepath.Join(dir, "log"), Command: func() (*exec.Cmd, error) {
		cmd := exec.Command("/bin/sh", "-c", "exec sleep 1000")
		if os.Geteuid() == 0 { // also one that is given to another user, and a right of root's with it
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: []uintptr{unix.CAP_NET_BIND_SERVICE}}
		}
		return cmd, nil
	}})
	select {}
}

func shell(script string) func() (*exec.Cmd, error) {
	return func() (*exec.Cmd, error) { return exec.Command("/bin/sh", "-c", script), nil }
}

func newGroup(t *testing.T, opts supervise.Options) *supervise.Group {
	t.Helper()
	opts.Now = time.Now
	group := supervise.New(opts)
	t.Cleanup(func() { group.Close(context.Background()) })
	return group
}

func pid(p *supervise.Process) int {
	id, _ := p.Identity()
	return id.PID
}

func TestADeadProcessIsStartedAgain(t *testing.T) {
	deaths := make(chan supervise.Death, 10)
	group := newGroup(t, supervise.Options{MinBackoff: 10 * time.Millisecond, Died: func(d supervise.Death) { deaths <- d }})
	p := group.Start(supervise.Spec{Name: "sleeper", Log: filepath.Join(t.TempDir(), "log"), Command: shell("exec sleep 1000")})
	check.Eventually(t, "it runs", func() bool { return pid(p) != 0 })
	first := pid(p)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	check.Eventually(t, "it runs again", func() bool { return pid(p) != 0 && pid(p) != first })
	if d := <-deaths; d.Name != "sleeper" || d.Reason != "signal: killed" {
		t.Errorf("death %+v", d)
	}
	if count, reason := p.Deaths(); count != 1 || reason != "signal: killed" {
		t.Errorf("%d deaths, the last by %q", count, reason)
	}
}

func TestBackoffDoublesUpToItsBound(t *testing.T) {
	deaths := make(chan supervise.Death, 10)
	group := newGroup(t, supervise.Options{MinBackoff: time.Millisecond, MaxBackoff: 4 * time.Millisecond, Died: func(d supervise.Death) { deaths <- d }})
	group.Start(supervise.Spec{Name: "false", Log: filepath.Join(t.TempDir(), "log"), Command: shell("exit 3")})
	for _, want := range []time.Duration{1, 2, 4, 4} {
		if d := <-deaths; d.Again != want*time.Millisecond || d.Reason != "exit status 3" {
			t.Errorf("death %+v, want the next start after %d ms", d, want)
		}
	}
}

func TestCloseStopsTheHighestStageFirst(t *testing.T) {
	dir := t.TempDir()
	order := filepath.Join(dir, "order")
	group := newGroup(t, supervise.Options{})
	for stage := 1; stage <= 3; stage++ {
		ready := filepath.Join(dir, strconv.Itoa(stage))
		script := fmt.Sprintf("trap 'echo %d >> %s; exit' TERM; touch %s; while :; do sleep 0.01; done", stage, order, ready)
		group.Start(supervise.Spec{Name: strconv.Itoa(stage), Stage: stage, Log: filepath.Join(dir, "log"), Command: shell(script)})
		check.Eventually(t, "it runs", func() bool { _, err := os.Stat(ready); return err == nil })
	}
	group.Close(context.Background())
	if raw, err := os.ReadFile(order); err != nil || string(raw) != "3\n2\n1\n" {
		t.Errorf("stopped in the order %q, %v", raw, err)
	}
	if left := group.Running(); len(left) != 0 {
		t.Errorf("left running: %v", left)
	}
}

func TestStopKillsWhatDoesNotListenWithItsChildren(t *testing.T) {
	dir := t.TempDir()
	group := newGroup(t, supervise.Options{})
	child := filepath.Join(dir, "child")
	p := group.Start(supervise.Spec{Name: "deaf", Log: filepath.Join(dir, "log"), StopTimeout: 50 * time.Millisecond,
		Command: shell(fmt.Sprintf("trap '' TERM; sleep 1000 & echo $! > %s.new; mv %s.new %s; wait; wait", child, child, child))})
	check.Eventually(t, "its child runs", func() bool { _, err := os.Stat(child); return err == nil })
	raw, err := os.ReadFile(child)
	if err != nil {
		t.Fatal(err)
	}
	childPID, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := supervise.Identify(childPID)
	if err != nil {
		t.Fatal(err)
	}
	p.Stop(context.Background())
	check.Eventually(t, "its child is gone too", func() bool { return !id.Alive() })
}

// No child may outlive a killed supervisor.
func TestChildrenDieWithAKilledSupervisor(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	supervisor := exec.Command(self)
	supervisor.Env = append(os.Environ(), childVariable+"="+t.TempDir())
	out, err := supervisor.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := supervisor.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	id, err := supervise.Identify(child)
	if err != nil || !id.Alive() {
		t.Fatalf("the child does not run: %v", err)
	}
	if err := supervisor.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = supervisor.Wait() // killed
	check.Eventually(t, "the child is gone", func() bool { return !id.Alive() })
}

func TestLogsAreBound(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	group := newGroup(t, supervise.Options{MaxLog: 1000})
	group.Start(supervise.Spec{Name: "talker", Log: log, Command: shell("i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; exec sleep 1000")})
	check.Eventually(t, "the log is moved away", func() bool { _, err := os.Stat(log + ".1"); return err == nil })
	check.Eventually(t, "the log is emptied", func() bool { info, err := os.Stat(log); return err == nil && info.Size() <= 1000 })
	raw, err := os.ReadFile(log + ".1")
	if err != nil || len(raw) > 1000 || !strings.HasSuffix(string(raw), "line 499\n") {
		t.Errorf("%d bytes of old log, %v, want the last 1000", len(raw), err)
	}
}

func TestRunOnce(t *testing.T) {
	dir := t.TempDir()
	group := newGroup(t, supervise.Options{})
	run := func(ctx context.Context, script string) error {
		return group.Run(ctx, supervise.Spec{Name: "once", Log: filepath.Join(dir, "log"), Command: shell(script)})
	}
	if err := run(t.Context(), "echo done"); err != nil {
		t.Errorf("a process that succeeds: %v", err)
	}
	log := filepath.Join(dir, "log")
	for since, want := range map[int64]string{0: "[done]", 2: "[ne]", 5: "[]", 99: "[done]"} {
		if got := fmt.Sprint(supervise.Tail(log, since)); got != want {
			t.Errorf("its log from byte %d: %s, want %s", since, got, want)
		}
	}
	if err := run(t.Context(), "exit 4"); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("a process that fails: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := run(ctx, "exec sleep 1000"); err == nil {
		t.Error("a process that lasts longer than its context: no error")
	}
}

func TestAProgramThatDoesNotExistIsADeath(t *testing.T) {
	deaths := make(chan supervise.Death, 10)
	group := newGroup(t, supervise.Options{MinBackoff: time.Millisecond, Died: func(d supervise.Death) { deaths <- d }})
	group.Start(supervise.Spec{Name: "missing", Log: filepath.Join(t.TempDir(), "log"),
		Command: func() (*exec.Cmd, error) { return exec.Command("/nonexistent/program"), nil }})
	if d := <-deaths; !strings.Contains(d.Reason, "no such file") {
		t.Errorf("death %+v", d)
	}
}

// What a process would have inherited is closed when it is not started: it is tried again and
// again.
func TestNothingStaysOpenWithoutALog(t *testing.T) {
	var mu sync.Mutex
	var opened []*os.File
	group := newGroup(t, supervise.Options{MinBackoff: time.Millisecond})
	group.Start(supervise.Spec{Name: "x", Log: filepath.Join(t.TempDir(), "missing", "log"), Command: func() (*exec.Cmd, error) {
		file, err := os.Open("/dev/null")
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		opened = append(opened, file)
		cmd := exec.Command("/bin/true")
		cmd.ExtraFiles = []*os.File{file}
		return cmd, nil
	}})
	check.Eventually(t, "the first try's file is closed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		if len(opened) < 2 {
			return false
		}
		_, err := opened[0].Stat()
		return errors.Is(err, os.ErrClosed)
	})
}
