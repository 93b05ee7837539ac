package user

import (
	"context"
	"log/slog"
	"time"
)

// Reconciler completes deletions that a crash or an unreachable Auth interrupted. Every instance of the service runs one; claims keep
// them from each other's work. Run it once.
type Reconciler struct {
	service *Service
	log     *slog.Logger
	failing bool // the last round failed: the same again is no news
}

// NewReconciler returns a reconciler over the rules.
func NewReconciler(service *Service, log *slog.Logger) *Reconciler {
	return &Reconciler{service: service, log: log}
}

// Run works once for every tick until the context ends. A round that is under way then stops at its next call to the store or Auth.
func (r *Reconciler) Run(ctx context.Context, ticks <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			r.round(ctx)
		}
	}
}

func (r *Reconciler) round(ctx context.Context) {
	completed, err := r.service.CompleteDeletions(ctx)
	if completed > 0 {
		r.log.InfoContext(ctx, "completed interrupted deletions", "users", completed)
	}
	level := slog.LevelWarn
	if r.failing {
		level = slog.LevelDebug
	}
	r.failing = err != nil
	if err != nil && ctx.Err() == nil {
		r.log.Log(ctx, level, "interrupted deletions wait for the next round", "error", err.Error())
	}
}
