package outbox

import (
	"context"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// leaseWork is what a session does that neither leads nor finds that another one does.
const leaseWork = "its relay has no lease"

// standing is what of the relay's own work in the database fails now. That a receiver is away is
// none of it.
type standing struct {
	mu     sync.Mutex
	failed map[string]error // by what stands still
}

// note keeps or clears an error.
func (s *standing) note(what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.failed, what)
		return
	}
	if s.failed == nil {
		s.failed = map[string]error{}
	}
	s.failed[what] = err
}

// forget clears all but the lease: what the pumps of a leader met does not concern a follower.
func (s *standing) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for what := range s.failed {
		if what != leaseWork {
			delete(s.failed, what)
		}
	}
}

// Ready returns an error while this instance neither delivers nor knows that another one does; for
// readiness.
func (r *Relay) Ready(context.Context) error {
	r.standing.mu.Lock()
	defer r.standing.mu.Unlock()
	for what, err := range r.standing.failed {
		return apierr.OutboxStandsStill().Saying("the outbox of schema " + r.Schema + " is not delivered: " + what).
			WithRetryAfter(time.Second).Because(err)
	}
	return nil
}
