package grpcserver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
)

// rates bounds how often a program calls a method, and how many streams of it it has open, by the
// contract: one that calls in a loop leaves room for the others. It is the calling program's fault
// and not its user's, who is answered with 503.
func rates(p Params) middleware {
	used := &usages{of: map[pair]*usage{}}
	limited := apierr.CallerRateLimited().WithRetryAfter(time.Second)
	return middleware{around: func(ctx context.Context, c *rpc, next func(context.Context) error) error {
		if c.infra || c.policy == nil {
			return next(ctx)
		}
		u := used.by(p, c)
		if !u.calls.AllowN(p.Now(), 1) {
			return limited
		}
		if c.policy.Rate.Streams > 0 {
			defer u.streams.Add(-1)
			if u.streams.Add(1) > int64(c.policy.Rate.Streams) {
				return limited
			}
		}
		return next(ctx)
	}}
}

// pair is who calls what. The programs that may not call a method have one name there, "": their
// number is not bounded, and so would be the memory.
type pair struct {
	method *contract.Method
	caller string
	inside bool // by the program's own door: nobody can pose as it
}

// usage is what a program uses of a method.
type usage struct {
	calls   *rate.Limiter
	streams atomic.Int64 // that are open
}

// usages are those of all programs. They are never removed: there are as many as the mesh has
// pairs.
type usages struct {
	mu sync.RWMutex
	of map[pair]*usage
}

// by returns the usage of a call's caller.
func (s *usages) by(p Params, c *rpc) *usage {
	key := pair{c.policy, c.service, c.inside}
	s.mu.RLock()
	u, ok := s.of[key]
	s.mu.RUnlock()
	if ok {
		return u
	}
	if !p.admits(c) {
		key.caller = ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok = s.of[key]; !ok {
		u = &usage{calls: rate.NewLimiter(rate.Limit(c.policy.Rate.PerSecond), c.policy.Rate.Burst)}
		s.of[key] = u
	}
	return u
}
