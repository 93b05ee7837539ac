package grpcserver

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// linger is how long the answers of the last calls may take to leave once no handler runs. A client
// that has not read its answer by then does not read.
const linger = time.Second

// Shutdown takes no new calls, ends every stream with UNAVAILABLE so that its client resumes
// elsewhere, and waits for the other calls until ctx ends; what is left then is cut, which is an
// error. A connection on which somebody does not read holds up nobody: 1 s after the last handler
// has returned the connections are closed.
//
//	streams end, GOAWAY ──► no handler runs ──► all have read, or 1 s ──► closed: nil
//	                    └─► ctx ends ──────────────────────────────────► closed: error
func (s *Server) Shutdown(ctx context.Context) error {
	s.drain()
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	err := s.settle(ctx, done)
	s.grpc.Stop()
	<-done
	return err
}

// settle returns when all calls are done and answered, or all but those of clients that do not
// read.
func (s *Server) settle(ctx context.Context, done <-chan struct{}) error {
	for {
		select {
		case <-done:
			return nil
		case <-s.running.none():
		case <-ctx.Done():
			return fmt.Errorf("calls were still running at the end of the drain: %w", ctx.Err())
		}
		select {
		case <-done:
		case <-time.After(linger):
		case <-ctx.Done():
		}
		if !s.running.any() { // else a client called that had not heard yet
			return nil
		}
	}
}

// Stop cuts everything.
func (s *Server) Stop() {
	s.drain()
	s.grpc.Stop()
}

// counted counts the call while it runs.
func counted(running *inflight) middleware {
	return middleware{around: func(ctx context.Context, _ *rpc, next func(context.Context) error) error {
		running.enter()
		defer running.leave()
		return next(ctx)
	}}
}

// inflight counts the handlers that run. Safe for concurrent use.
type inflight struct {
	mu      sync.Mutex
	running int
	waiting chan struct{} // closed when none runs; nil while nobody waits
}

func (f *inflight) enter() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running++
}

func (f *inflight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running--; f.running == 0 && f.waiting != nil {
		close(f.waiting)
		f.waiting = nil
	}
}

func (f *inflight) any() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running > 0
}

// none is closed as soon as no handler runs.
func (f *inflight) none() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running == 0 {
		now := make(chan struct{})
		close(now)
		return now
	}
	if f.waiting == nil {
		f.waiting = make(chan struct{})
	}
	return f.waiting
}
