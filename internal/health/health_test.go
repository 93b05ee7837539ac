package health_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/health"
)

// thing is what a check looks at.
type thing struct {
	mu  sync.Mutex
	err error
}

func (th *thing) set(err error) {
	th.mu.Lock()
	defer th.mu.Unlock()
	th.err = err
}

func (th *thing) check(context.Context) error {
	th.mu.Lock()
	defer th.mu.Unlock()
	return th.err
}

// running starts a Health in the bubble; it ends with the test.
func running(t *testing.T, log *slog.Logger, checks ...health.Check) *health.Health {
	t.Helper()
	h := health.New(log, checks...)
	h.Serves("gatehouse.demo.v1.DemoService")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	synctest.Wait()
	return h
}

func wantServing(t *testing.T, h *health.Health, want bool) {
	t.Helper()
	synctest.Wait()
	if h.Ready() != want {
		t.Errorf("ready is %v, want %v: %+v", h.Ready(), want, h.Results())
	}
	for _, service := range []string{"", "gatehouse.demo.v1.DemoService"} {
		if serving, known := h.Serving(service); serving != want || !known {
			t.Errorf("%q serves: %v, is known: %v, want %v, true", service, serving, known, want)
		}
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestNotServingBeforeTheFirstRound(t *testing.T) {
	h := health.New(discard(), health.Check{Name: "database", Func: func(context.Context) error { return nil }})
	if h.Ready() || h.Results()[0].OK {
		t.Error("ready before any check ran")
	}
	if serving, known := h.Serving(""); serving || !known {
		t.Errorf("the program serves: %v, is known: %v", serving, known)
	}
}

// A start is not held up: the first round runs at once, and all its checks at the same time.
func TestFirstRoundIsImmediateAndParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(context.Context) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		}
		began := time.Now()
		h := running(t, discard(), health.Check{Name: "a", Func: slow}, health.Check{Name: "b", Func: slow}, health.Check{Name: "c", Func: slow})
		time.Sleep(100 * time.Millisecond)
		wantServing(t, h, true)
		if d := time.Since(began); d != 100*time.Millisecond {
			t.Errorf("ready after %s", d)
		}
	})
}

// One failure may be a connection that the mesh has just closed; two are a fault. Consul asks every 2 s and must be critical within
// 15 s, so the verdict must be there within 10 s.
func TestFaultAndRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		database := &thing{}
		h := running(t, discard(), health.Check{Name: "database", Func: database.check}, health.Check{Name: "other", Func: (&thing{}).check})
		wantServing(t, h, true)
		database.set(errors.New("down"))
		time.Sleep(2 * time.Second)
		wantServing(t, h, true)
		time.Sleep(time.Second)
		wantServing(t, h, false)
		database.set(nil)
		time.Sleep(time.Second)
		wantServing(t, h, true)
	})
}

func TestHangingCheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hanging := make(chan struct{})
		t.Cleanup(func() { close(hanging) })
		var hang atomic.Bool
		h := running(t, discard(), health.Check{Name: "database", Func: func(context.Context) error {
			if hang.Load() {
				<-hanging // ignores its deadline
			}
			return nil
		}})
		wantServing(t, h, true)
		hang.Store(true)
		time.Sleep(6 * time.Second)
		wantServing(t, h, false)
	})
}

func TestPanickingCheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, discard(), health.Check{Name: "keys", Func: func(context.Context) error { panic("nil map") }})
		wantServing(t, h, false)
	})
}

func TestDrainIsForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, discard(), health.Check{Name: "database", Func: (&thing{}).check})
		wantServing(t, h, true)
		h.Drain()
		wantServing(t, h, false)
		time.Sleep(10 * time.Second)
		wantServing(t, h, false)
	})
}

// /readyz shows public texts; causes are in the log, once for each change.
func TestResultsAndLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		database := &thing{}
		database.set(apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer").Because(errors.New("dial db.internal")))
		h := running(t, slog.New(slog.NewTextHandler(&log, nil)), health.Check{Name: "database", Func: database.check})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if r := h.Results(); len(r) != 1 || r[0].OK || r[0].Name != "database" || r[0].Message != "the database does not answer" {
			t.Errorf("results are %+v", r)
		}
		database.set(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := strings.Count(log.String(), "dial db.internal"); n != 1 || strings.Count(log.String(), "passes again") != 1 {
			t.Errorf("the log is\n%s", log.String())
		}
	})
}

func TestNoChecksIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { wantServing(t, running(t, discard()), true) })
}

// Who watches is woken by a change and by nothing else: a change of the verdict, or of what is
// served.
func TestChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		database := &thing{}
		h := running(t, discard(), health.Check{Name: "database", Func: database.check})
		wantServing(t, h, true)
		for _, c := range []struct {
			what    string
			change  func()
			changes bool
		}{
			{"nothing", func() {}, false},
			{"the database goes", func() { database.set(errors.New("down")) }, true},
			{"it stays away", func() {}, false},
			{"it comes back", func() { database.set(nil) }, true},
			{"another service", func() { h.Serves("gatehouse.demo.v1.OtherService") }, true},
			{"the drain", h.Drain, true},
			{"a drain after the drain", h.Drain, false},
		} {
			before := h.Changed()
			c.change()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			select {
			case <-before:
				if !c.changes {
					t.Errorf("%s: woken", c.what)
				}
			default:
				if c.changes {
					t.Errorf("%s: not woken", c.what)
				}
			}
		}
		if _, known := h.Serving("gatehouse.none.v1.NoService"); known || len(h.Services()) != 3 || h.Services()[0] != "" {
			t.Errorf("an unknown service is known: %v; all are %q", known, h.Services())
		}
	})
}
