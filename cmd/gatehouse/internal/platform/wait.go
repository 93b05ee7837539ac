package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gatehouse/gatehouse/internal/supervise"
)

const (
	pollEvery  = 50 * time.Millisecond
	patience   = 90 * time.Second // for any one part to become useful
	mostDeaths = 3                // of a part before it ever was useful
)

// permanent is an error that waiting does not fix.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// await polls until try succeeds. It gives up when the error is permanent, the process keeps dying
// or patience ends, with one sentence that says what the process itself said.
func (p *Platform) await(ctx context.Context, process *supervise.Process, what string, try func(context.Context) error) error {
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		attempt, done := context.WithTimeout(limit, 2*time.Second)
		err := try(attempt)
		done()
		if err == nil {
			return nil
		}
		if never := (permanent{}); errors.As(err, &never) {
			return fmt.Errorf("%s cannot be used: %w", what, err)
		}
		if process != nil {
			if deaths, reason := process.Deaths(); deaths >= mostDeaths {
				return p.explain(process.Name(), fmt.Errorf("%s does not start: %s keeps ending (%s)", what, process.Name(), reason))
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start %s: %w", what, ctx.Err())
		case <-limit.Done():
			name := ""
			if process != nil {
				name = process.Name()
			}
			return p.explain(name, fmt.Errorf("%s is not ready after %s: %w", what, patience, err))
		case <-tick.C:
		}
	}
}

func selfPID() int { return os.Getpid() }
