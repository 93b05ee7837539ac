package fxmod

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/loop"
)

// inOrder makes an app of lists of parts.
func inOrder(lists ...Parts) *fx.App {
	return New(fx.NopLogger, fx.Invoke(func(lc fx.Lifecycle) { InOrder(lc, lists...) }))
}

func TestPartsStopInTheReverseOrder(t *testing.T) {
	var order []string
	part := func(name string) Part {
		note := func(what string) func(context.Context) error {
			return func(context.Context) error { order = append(order, what+" "+name); return nil }
		}
		return Part{Name: name, Start: note("start"), Stop: note("stop")}
	}
	app := inOrder(Parts{part("a"), {}, part("b")}, nil, Parts{part("c")})
	if err := errors.Join(app.Start(t.Context()), app.Stop(t.Context())); err != nil {
		t.Fatal(err)
	}
	if want := []string{"start a", "start b", "start c", "stop c", "stop b", "stop a"}; !slices.Equal(order, want) {
		t.Errorf("the order is %q", order)
	}
}

// What started before a part that does not is stopped again; what comes after it is not touched.
func TestAPartThatDoesNotStartEndsTheStart(t *testing.T) {
	broken, stopped := errors.New("broken"), false
	app := inOrder(Parts{
		{Name: "first", Stop: func(context.Context) error { stopped = true; return nil }},
		{Name: "second", Start: func(context.Context) error { return broken }},
		{Name: "third", Stop: func(context.Context) error { t.Error("what did not start is stopped"); return nil }},
	})
	if err := app.Start(t.Context()); !errors.Is(err, broken) || !stopped {
		t.Errorf("the start says %v, the first part is stopped: %v", err, stopped)
	}
}

func TestAPartThatDoesNotStopIsNamed(t *testing.T) {
	app := inOrder(Parts{{Name: "the cellar", Stop: func(context.Context) error { return errors.New("stuck") }}})
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := app.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "stop the cellar: stuck") {
		t.Errorf("the stop says %v", err)
	}
}

// Stopping waits for background work, as long as the stop may take.
func TestBackgroundEndsWithItsStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		p := Background("work", func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = true
		})
		if err := errors.Join(p.Start(t.Context()), p.Stop(t.Context())); err != nil || !ended {
			t.Errorf("%v, the work has ended: %v", err, ended)
		}
		slow := Background("slow work", func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(time.Minute)
		})
		until, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := errors.Join(slow.Start(t.Context()), slow.Stop(until)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("work that does not end: %v", err)
		}
		time.Sleep(time.Minute)
	})
}

func TestRepeatRunsTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := 0
		p := Repeat(loop.Loop{Name: "count", Every: time.Second, Timeout: time.Second, Do: func(context.Context) error { turns++; return nil }},
			slog.New(slog.DiscardHandler))
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3*time.Second + time.Millisecond)
		if err := p.Stop(t.Context()); err != nil || turns != 3 {
			t.Errorf("%d turns in 3 s, %v", turns, err)
		}
	})
}

// slow is a server whose requests take longer than its drain.
type slow struct{ crash }

func (slow) Shutdown(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// A drain says NOT_SERVING first, waits until others have noticed, and cuts what then still runs.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		h := health.New(slog.New(slog.DiscardHandler))
		s := slow{crash{end: make(chan struct{})}}
		defer close(s.end)
		drain := Drain{Health: h, Delay: time.Second, Timeout: 5 * time.Second}
		began := time.Now()
		if err := drain.shutdown(t.Context(), s, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Error(err)
		}
		results := h.Results()
		if time.Since(began) != 6*time.Second || !strings.Contains(log.String(), "cut") || results[len(results)-1].Name != "drain" {
			t.Errorf("after %s: %q, %+v", time.Since(began), log.String(), results)
		}
	})
}
