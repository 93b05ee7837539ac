package relationship

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/request"
)

// few is a command log with few commands, which tells when somebody has begun to wait.
type few struct {
	Store
	known map[string]State
	asked chan struct{}
}

func (f few) States(context.Context, []string) (map[string]State, error) {
	f.asked <- struct{}{}
	return f.known, nil
}

// Tokens of facts that nobody knows cost whoever sends them nothing: how many wait at a time is bounded. Who comes then is answered at
// once, and who need not wait is not refused.
func TestWaitsAreBounded(t *testing.T) {
	t.Parallel()
	const there, unknown = "0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11", "0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e12"
	log := few{known: map[string]State{there: Applied}, asked: make(chan struct{}, 8)}
	s := NewService(Params{Store: log, Now: time.Now})
	s.waiters.most = 2
	waiting, stop := context.WithCancel(t.Context())
	defer stop()
	left := make(chan error, 2)
	for range 2 {
		go func() { left <- s.Fresh(waiting, request.TokenOf(unknown).String()) }()
		<-log.asked
	}
	began := time.Now()
	if err := s.Fresh(t.Context(), request.TokenOf(unknown).String()); !errors.Is(err, notFresh()) || time.Since(began) > maxWait/2 {
		t.Errorf("got %v after %s, want NOT_FRESH_ENOUGH at once", err, time.Since(began))
	}
	if err := s.Fresh(t.Context(), request.TokenOf(there).String()); err != nil {
		t.Errorf("what is there: %v", err)
	}
	stop()
	for range 2 {
		if err := <-left; !errors.Is(err, notFresh()) {
			t.Errorf("got %v, want NOT_FRESH_ENOUGH", err)
		}
	}
	if s.waiters.total != 0 || len(s.waiters.waiting) != 0 {
		t.Errorf("%d waiters of %d facts are left", s.waiters.total, len(s.waiters.waiting))
	}
}
