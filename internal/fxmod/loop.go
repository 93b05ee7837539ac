package fxmod

import (
	"context"
	"log/slog"
	"time"
)

// Loop is background work that is done again and again, each turn within a deadline: a database or a peer that does not answer holds up
// one turn, not the work.
type Loop struct {
	Name    string // what the log calls it
	Every   time.Duration
	Timeout time.Duration   // of one turn
	Wake    <-chan struct{} // a turn now; nil never wakes
	Do      func(ctx context.Context) error
}

// Run loops until ctx ends. A failure is logged when it begins and when it is over, not at each turn.
func (l Loop) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(l.Every)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-l.Wake:
		}
		turn, cancel := context.WithTimeout(ctx, l.Timeout)
		err := l.Do(turn)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			log.WarnContext(ctx, "background work fails", "work", l.Name, "error", err.Error())
		case err == nil && failing:
			log.InfoContext(ctx, "background work succeeds again", "work", l.Name)
		}
		failing = err != nil
	}
}
