package loop

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// looping runs a loop in a bubble of its own time and stops it after span; it returns the log.
func looping(t *testing.T, span time.Duration, l Loop) (log string) {
	t.Helper()
	var b bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), span)
		defer cancel()
		l.Run(ctx, slog.New(slog.NewTextHandler(&b, nil)))
	})
	return b.String()
}

func TestLoopTakesTurns(t *testing.T) {
	turns := 0
	log := looping(t, 10*time.Second+time.Millisecond, Loop{
		Name: "count", Every: time.Second, Timeout: time.Minute, Do: func(context.Context) error { turns++; return nil },
	})
	if turns != 10 || log != "" {
		t.Errorf("%d turns in 10 s, log %q", turns, log)
	}
}

// Whoever wakes often, turns have a rest between them, and the last wake is not lost.
func TestLoopRests(t *testing.T) {
	var begun []time.Time
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{}, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		go func() {
			for range 100 { // each 10 ms of the first second
				select {
				case wake <- struct{}{}:
				default:
				}
				<-time.After(10 * time.Millisecond)
			}
		}()
		Loop{Name: "rest", Every: time.Minute, Timeout: time.Second, Wake: wake, Rest: 200 * time.Millisecond, Do: func(context.Context) error {
			begun = append(begun, time.Now())
			return nil
		}}.Run(ctx, slog.New(slog.DiscardHandler))
	})
	if n := len(begun); n != 6 { // at 0, 200 ms, …, 1 s
		t.Fatalf("%d turns", n)
	}
	for i, next := range begun[1:] {
		if rested := next.Sub(begun[i]); rested != 200*time.Millisecond {
			t.Errorf("a turn began %s after another", rested)
		}
	}
}

// Work that never answers is given up, and done again.
func TestLoopBoundsEachTurn(t *testing.T) {
	turns := 0
	looping(t, 35*time.Second, Loop{Name: "hang", Every: time.Second, Timeout: 10 * time.Second, Do: func(ctx context.Context) error {
		turns++
		<-ctx.Done()
		return ctx.Err()
	}})
	if turns < 3 {
		t.Errorf("%d turns of 10 s each in 35 s", turns)
	}
}

func TestLoopLogsAFaultOnceAndItsEnd(t *testing.T) {
	turns := 0
	log := looping(t, 10*time.Second, Loop{Name: "flaky", Every: time.Second, Timeout: time.Minute, Do: func(context.Context) error {
		if turns++; turns >= 2 && turns <= 5 {
			return errors.New("boom")
		}
		return nil
	}})
	if strings.Count(log, "fails") != 1 || strings.Count(log, "boom") != 1 || strings.Count(log, "succeeds again") != 1 ||
		strings.Count(log, "work=flaky") != 2 {
		t.Errorf("log = %s", log)
	}
}

func TestLoopWakes(t *testing.T) {
	turns := 0
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		l := Loop{Name: "woken", Every: time.Hour, Timeout: time.Minute, Wake: wake, Do: func(context.Context) error { turns++; return nil }}
		go l.Run(ctx, slog.New(slog.DiscardHandler))
		wake <- struct{}{}
		synctest.Wait()
		if turns != 1 {
			t.Errorf("%d turns after one wake", turns)
		}
		cancel()
		synctest.Wait()
	})
}
