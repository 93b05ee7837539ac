package fxmod

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/loop"
)

// Part is something of a program that starts or stops. Constructors return what they made and start
// nothing; a program's one list of parts says what starts and stops when.
type Part struct {
	Name  string                          // for errors, such as "outbox relay"
	Start func(ctx context.Context) error // nil when nothing is to start
	Stop  func(ctx context.Context) error // nil when nothing is to stop
}

// Parts start in their order and stop in the reverse order.
type Parts []Part

// InOrder starts the parts of all lists with the program, one after the other, and stops them in
// the reverse order. A program calls it once. What did not start is not stopped.
func InOrder(lc fx.Lifecycle, lists ...Parts) {
	for _, list := range lists {
		for _, p := range list {
			lc.Append(fx.Hook{OnStart: p.Start, OnStop: p.stop()})
		}
	}
}

// stop says which part it was that did not stop.
func (p Part) stop() func(context.Context) error {
	if p.Stop == nil {
		return nil
	}
	return func(ctx context.Context) error {
		if err := p.Stop(ctx); err != nil {
			return fmt.Errorf("stop %s: %w", p.Name, err)
		}
		return nil
	}
}

// Background is the part that runs from start to stop. It ends when its context does; stopping
// waits for it.
func Background(name string, run func(ctx context.Context)) Part {
	var (
		end context.CancelFunc
		wg  sync.WaitGroup
	)
	return Part{
		Name: name,
		Start: func(context.Context) error {
			ctx, cancel := context.WithCancel(context.Background()) //nolint:gosec // Stop calls it
			end = cancel
			wg.Go(func() { run(ctx) })
			return nil
		},
		Stop: func(stop context.Context) error {
			end()
			done := make(chan struct{})
			go func() {
				wg.Wait()
				close(done)
			}()
			select {
			case <-done:
				return nil
			case <-stop.Done():
				return stop.Err()
			}
		},
	}
}

// Repeat is the part that runs a loop from start to stop.
func Repeat(l loop.Loop, log *slog.Logger) Part {
	return Background(l.Name, func(ctx context.Context) { l.Run(ctx, log) })
}
