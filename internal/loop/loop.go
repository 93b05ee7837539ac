package loop

import (
	"context"
	"log/slog"
	"time"
)

// Loop is background work of a program: each turn has a deadline, so a database or a peer that does
// not answer holds up one turn, not the work.
type Loop struct {
	Name    string // what the log calls it
	Every   time.Duration
	Timeout time.Duration   // of one turn
	Wake    <-chan struct{} // a turn now; nil never wakes
	Rest    time.Duration   // after each turn, whatever wakes meanwhile
	Do      func(ctx context.Context) error
}

// Run takes the first turn after Every, or when it is woken, and goes on until ctx ends. A failure
// is logged when it begins and when it is over, not at each turn.
func (l Loop) Run(ctx context.Context, log *slog.Logger) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(l.Every):
	case <-l.Wake:
	}
	var trouble Trouble
	Run(ctx, l.Wake, func(ctx context.Context) time.Duration {
		turn, cancel := context.WithTimeout(ctx, l.Timeout)
		defer cancel()
		err := l.Do(turn)
		if ctx.Err() != nil {
			return 0
		}
		switch began, over := trouble.Note(err); {
		case began:
			log.WarnContext(ctx, "background work fails", "work", l.Name, "error", err.Error())
		case over:
			log.InfoContext(ctx, "background work succeeds again", "work", l.Name)
		}
		select {
		case <-ctx.Done():
		case <-time.After(l.Rest):
		}
		return l.Every
	})
}
