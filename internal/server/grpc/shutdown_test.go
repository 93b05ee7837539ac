package grpcserver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The connections are closed 1 s after the last handler has returned, also when one began after
// another was the last: its client had not heard yet that the server goes.
func TestShutdownWaitsForTheLastHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{running: &inflight{}}
		s.running.enter()
		go func() {
			for range 3 {
				<-time.After(2 * time.Second)
				s.running.leave()
				<-time.After(500 * time.Millisecond)
				s.running.enter()
			}
			<-time.After(2 * time.Second)
			s.running.leave()
		}()
		began := time.Now()
		if err := s.settle(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 10500*time.Millisecond {
			t.Errorf("settled after %s", took)
		}
	})
}

// A handler that does not return is waited for until ctx ends, and that is an error; so is nobody
// who only does not read.
func TestShutdownIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		running bool
		fails   bool
	}{"a handler runs": {true, true}, "somebody does not read": {false, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Server{running: &inflight{}}
				if c.running {
					s.running.enter()
				}
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				if err := s.settle(ctx, nil); (err != nil) != c.fails {
					t.Errorf("settle: %v", err)
				}
				if ctx.Err() == nil {
					t.Error("it did not wait")
				}
			})
		})
	}
}
