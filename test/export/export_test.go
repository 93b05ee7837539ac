// Package export_test holds what strangers make of the exported trail: a validator of OCSF, and the
// receivers of a push, each killed in its midst and resumed. `make test-clients` runs it.
//
// What the programs are made of is pinned here, and fetched when the tests run; a missing one is a
// failure.
package export_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

var gatehouse string // the command

func TestMain(m *testing.M) { os.Exit(built(m)) }

// built builds the command and runs the tests.
func built(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gatehouse-export-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "export:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	gatehouse = filepath.Join(dir, "gatehouse")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", gatehouse, "../../cmd/gatehouse").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "export: build the command: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// world is where an export runs: a gateway, and who asks it.
type world struct {
	environ []string
}

// command is an export that is not started.
func (w world) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, gatehouse, append([]string{"audit", "export"}, args...)...)
	cmd.Env, cmd.WaitDelay = append(os.Environ(), w.environ...), 5*time.Second
	return cmd
}

// export runs an export to its end and returns what it printed.
func (w world) export(t *testing.T, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := w.command(ctx, args...)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("export %v: %v\n%s", args, err, &problem)
	}
	return out
}

// killed starts an export again and again, and kills each run when midst says so; the last one runs
// to its end.
func (w world) killed(t *testing.T, times int, midst <-chan struct{}, args ...string) {
	t.Helper()
	for range times {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		cmd := w.command(ctx, args...)
		var problem bytes.Buffer
		cmd.Stderr = &problem
		check.NoError(t, cmd.Start())
		select {
		case <-midst:
		case <-ctx.Done():
		}
		_ = cmd.Process.Kill() // SIGKILL
		err := cmd.Wait()
		cancel()
		if err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("the export was to be killed in its midst, and ended before: %v\n%s", err, &problem)
		}
	}
	w.export(t, args...)
}

// stand is a gateway with a trail of its own: event n is the n-th of lines, its cursor is n.
func stand(t *testing.T, lines []string) world {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		after, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		fmt.Fprintf(w, "{\"cursor\":\"%d\"}\n", after)
		for n := after; n < len(lines); n++ {
			fmt.Fprintf(w, "{\"event\":%s,\"cursor\":\"%d\"}\n", lines[n], n+1)
		}
		fmt.Fprintf(w, "{\"cursor\":\"%d\",\"end\":true}\n", max(after, len(lines)))
	}))
	t.Cleanup(s.Close)
	return world{environ: []string{"GATEHOUSE_URL=" + s.URL, "GATEHOUSE_CLI_TOKEN=token"}}
}

// numbered are events 1 to n.
func numbered(n int) (lines []string) {
	for i := 1; i <= n; i++ {
		lines = append(lines, fmt.Sprintf(`{"id":"%d","time":"2026-11-22T10:00:00Z","action":"user.created","outcome":"success","occurrences":1,"source":"identity","object_type":"user","object_id":"u%d"}`, i, i))
	}
	return lines
}

// run runs a program to its end, with an input, and returns its standard output.
func program(t *testing.T, dir string, input io.Reader, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var problem bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stderr, cmd.WaitDelay = dir, input, &problem, 5*time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", filepath.Base(name), args, err, out, &problem)
	}
	return out
}

// arrived collects what a receiver got: how often each event came, and in which order they came
// first.
type arrived struct {
	mu    sync.Mutex
	times map[string]int
	order []string
}

func (a *arrived) add(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.times == nil {
		a.times = map[string]int{}
	}
	if a.times[id]++; a.times[id] == 1 {
		a.order = append(a.order, id)
	}
}

// trail is what has to come: the first of ids, at least so many.
type trail struct {
	least int
	ids   func() []string
}

// identified are the ids of numbered events.
func identified(n int) trail {
	return trail{least: n, ids: func() (ids []string) {
		for i := 1; i <= n; i++ {
			ids = append(ids, strconv.Itoa(i))
		}
		return ids
	}}
}

// whole fails the test unless every event came, in their order, and none more often than most.
func (a *arrived) whole(t *testing.T, want trail, most int) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := want.ids()
	if n := len(a.order); n < want.least || n > len(ids) || strings.Join(a.order, " ") != strings.Join(ids[:n], " ") {
		t.Errorf("%d events came, want at least %d of %d without a gap, in their order", n, want.least, len(ids))
	}
	for id, times := range a.times {
		if times > most {
			t.Errorf("event %s came %d times, want at most %d", id, times, most)
		}
	}
}

// watched tells whenever a count has grown by so much, to who waits for it, until stop is called.
func watched(t *testing.T, by int, count func() int) (told <-chan struct{}, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	grown, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for seen := 0; ctx.Err() == nil; {
			now, tell := count(), grown
			if now < seen+by {
				tell = nil
			}
			select {
			case <-ctx.Done():
			case tell <- struct{}{}:
				seen = now
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return grown, func() { cancel(); <-done }
}
