// Package health decides whether a program can serve: it runs the program's own checks and answers
// the gRPC health service, which Consul asks, and /readyz.
//
// A check looks at what the program itself owns: its database, its schema version, its keys. That a remote service is down is the
// requests' 503 and no check, or one failure would take the whole mesh with it. Wiring imports it; so do the servers.
package health

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/loop"
)

// How often checks run, and how long one may take. A program that was ready is NOT_SERVING at most
// every + again + 2*timeout = 5.5 s after its database went; Consul asks every 2 s.
const (
	every   = 2 * time.Second        // while ready
	again   = 500 * time.Millisecond // while not ready, and after a first failure
	soon    = 20 * time.Millisecond  // at the start, doubling to again: a feed has its first message, a key set is there
	timeout = 1500 * time.Millisecond
	strikes = 2 // failures in a row that end readiness: one may be a connection that the mesh has just closed
)

// Check is one named condition of readiness.
type Check struct {
	Name string
	Func func(ctx context.Context) error
}

// Result is what a check last said.
type Result struct {
	Name    string
	OK      bool
	Message string // public text of the failure; empty when OK
}

// Health runs checks and keeps the verdict. Safe for concurrent use.
type Health struct {
	log *slog.Logger

	mu       sync.Mutex
	checks   []*state
	services []string
	ready    bool
	draining bool
	said     bool          // whether the program was last said to serve
	changed  chan struct{} // closed when an answer of Serving changes
}

type state struct {
	Check
	failures int
	err      error
	ran      bool
}

// New makes a Health that is NOT_SERVING until Run has seen every check pass.
func New(log *slog.Logger, checks ...Check) *Health {
	h := &Health{log: log, services: []string{""}, changed: make(chan struct{})}
	for _, c := range checks {
		h.Add(c.Name, c.Func)
	}
	return h
}

// Add adds a check. Call it before Run.
func (h *Health) Add(name string, check func(ctx context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, &state{Check: Check{Name: name, Func: check}})
}

// Serves adds gRPC services whose health is the program's.
func (h *Health) Serves(services ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.services = append(h.services, services...)
	h.wake()
}

// Services returns the services whose health is known, "" for the program first.
func (h *Health) Services() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.services)
}

// Serving reports whether a service, or "" for the program, can be called, and whether it is known
// at all.
func (h *Health) Serving(service string) (serving, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known = slices.Contains(h.services, service)
	return known && h.ready && !h.draining, known
}

// Changed is closed when an answer of Serving changes. Who watches asks for it before each look.
func (h *Health) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// Ready reports whether every check passes and the program is not draining.
func (h *Health) Ready() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ready && !h.draining
}

// Results returns what each check last said, in the order they were added.
func (h *Health) Results() []Result {
	h.mu.Lock()
	defer h.mu.Unlock()
	results := make([]Result, 0, len(h.checks)+1)
	for _, s := range h.checks {
		r := Result{Name: s.Name, OK: s.ran && s.err == nil}
		switch {
		case !s.ran:
			r.Message = "not checked yet"
		case s.err != nil:
			r.Message = apierr.From(s.err).Message
		}
		results = append(results, r)
	}
	if h.draining {
		results = append(results, Result{Name: "drain", Message: "the program is stopping"})
	}
	return results
}

// Run runs the checks, all at the same time, at once, then soon again until they pass, and from
// then on every 2 s until ctx ends.
func (h *Health) Run(ctx context.Context) {
	pause := soon
	loop.Run(ctx, nil, func(ctx context.Context) time.Duration {
		switch {
		case h.round(ctx):
			pause = every
		case pause < again:
			pause = min(2*pause, again)
		default:
			pause = again
		}
		return pause
	})
}

// Drain makes the program NOT_SERVING for good: nobody new is sent to it.
func (h *Health) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
	h.publish()
}

// round runs every check once and reports whether all passed.
func (h *Health) round(ctx context.Context) bool {
	h.mu.Lock()
	checks := h.checks
	h.mu.Unlock()
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, s := range checks {
		wg.Go(func() { errs[i] = run(ctx, s.Func) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return false // what was cut short says nothing
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	passed, out := true, false
	for i, s := range checks {
		h.note(ctx, s, errs[i])
		passed = passed && errs[i] == nil
		out = out || s.failures >= strikes
	}
	switch {
	case passed:
		h.ready = true
	case out:
		h.ready = false
	}
	h.publish()
	return passed
}

// note keeps a check's answer and logs when it changes. Callers hold mu.
func (h *Health) note(ctx context.Context, s *state, err error) {
	switch {
	case err != nil && (s.err == nil || !s.ran):
		h.log.WarnContext(ctx, "health check fails", "check", s.Name, "error", err.Error())
	case err == nil && s.ran && s.err != nil:
		h.log.InfoContext(ctx, "health check passes again", "check", s.Name)
	}
	s.failures++
	if err == nil {
		s.failures = 0
	}
	s.err, s.ran = err, true
}

// publish tells who watches when the verdict is another one. Callers hold mu.
func (h *Health) publish() {
	if now := h.ready && !h.draining; now != h.said {
		h.said = now
		h.wake()
	}
}

// wake lets everybody who watches look again. Callers hold mu.
func (h *Health) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// run runs one check with a deadline. A check that ignores its deadline or panics fails; the first one is left behind.
func run(ctx context.Context, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("the check panicked: %v", p)
			}
		}()
		done <- check(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %s: %w", timeout, ctx.Err())
	}
}
