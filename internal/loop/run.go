// Package loop is work that is done again and again until its context ends: background work of
// services, health checks, a key set that is refreshed, a stream that is followed, a registration
// that is kept.
//
// Kernel packages and wiring import it.
package loop

import (
	"context"
	"time"
)

// Run takes turns until ctx ends: the first at once, every other after the pause that the turn
// before it returned, or when wake receives; a nil wake never does.
func Run(ctx context.Context, wake <-chan struct{}, turn func(ctx context.Context) (pause time.Duration)) {
	for ctx.Err() == nil {
		pause := turn(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		case <-wake:
		}
	}
}

// Trouble remembers whether work fails, so that a log says when that begins and when it is over,
// not at each turn. The zero value is work that does not fail.
type Trouble struct{ failing bool }

// Note takes over what a turn ended with and reports whether failing began or is over with it.
func (t *Trouble) Note(err error) (began, over bool) {
	began, over = err != nil && !t.failing, err == nil && t.failing
	t.failing = err != nil
	return began, over
}
