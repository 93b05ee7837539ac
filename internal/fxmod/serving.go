package fxmod

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/health"
)

// DrainConfig is the option group of stopping.
type DrainConfig struct {
	Delay   time.Duration `name:"drain-delay" env:"GATEHOUSE_DRAIN_DELAY" default:"4s" help:"How long a stopping program still takes requests after it says NOT_SERVING, so that others notice: longer than Consul's check interval of 2s. gatehouse up sets 0s, where nobody could take over, unless you set it."`
	Timeout time.Duration `name:"drain-timeout" env:"GATEHOUSE_DRAIN_TIMEOUT" default:"10s" help:"How long requests in flight may then still run."`
}

// Validate reports contradictions.
func (c DrainConfig) Validate() error {
	if c.Delay < 0 || c.Delay > maxDrain {
		return fmt.Errorf("GATEHOUSE_DRAIN_DELAY is %s: set it to 0s to %s", c.Delay, maxDrain)
	}
	if c.Timeout < 0 || c.Timeout > maxDrain {
		return fmt.Errorf("GATEHOUSE_DRAIN_TIMEOUT is %s: set it to 0s to %s", c.Timeout, maxDrain)
	}
	return nil
}

// maxDrain bounds both parts of a drain; stopTimeout bounds all hooks together.
const (
	maxDrain    = time.Minute
	stopTimeout = 3 * time.Minute
)

// Server is something that listens and serves: *httpserver.Server is one.
type Server interface {
	Listen(ctx context.Context) error
	Serve() error
	Shutdown(ctx context.Context) error
}

// Drain says how a server stops. The zero value stops at once.
type Drain struct {
	Health  *health.Health // told first, so that nobody new is sent here; nil tells nobody
	Delay   time.Duration  // between telling and stopping
	Timeout time.Duration  // for requests in flight; 0 means as long as the app's stop takes
}

// Ports is the part that takes the ports of servers. It is a program's first one: a taken port
// stops the start before anything has begun, and its sentence is all that the start says. Who
// connects before the server serves waits. Stopping gives back the ports of servers that never
// served.
func Ports(servers ...Server) Part {
	taken := 0
	release := func(ctx context.Context) error {
		var errs []error
		for _, s := range servers[:taken] {
			errs = append(errs, s.Shutdown(ctx))
		}
		return errors.Join(errs...)
	}
	return Part{
		Name: "the ports",
		Start: func(ctx context.Context) error {
			for _, s := range servers {
				if err := s.Listen(ctx); err != nil {
					return errors.Join(err, release(ctx))
				}
				taken++
			}
			return nil
		},
		Stop: release,
	}
}

// Serving is the part that runs a server, whose port Ports has taken, from start to stop. A server
// that ends by itself ends the program with exit code 1.
func Serving(name string, s Server, d Drain, stop fx.Shutdowner, log *slog.Logger) Part {
	return Part{
		Name: name,
		Start: func(context.Context) error {
			go func() {
				if err := s.Serve(); err != nil {
					log.Error("a listener ended; stopping", "error", err.Error())
					if err := stop.Shutdown(fx.ExitCode(1)); err != nil {
						log.Error("the app does not stop", "error", err.Error())
					}
				}
			}()
			return nil
		},
		Stop: func(ctx context.Context) error { return d.shutdown(ctx, s, log) },
	}
}

// shutdown tells others, then stops the server.
func (d Drain) shutdown(ctx context.Context, s Server, log *slog.Logger) error {
	d.announce(ctx)
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	err := s.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("requests were cut at the end of the drain", "error", err.Error())
		return nil
	}
	return err
}

// announce says NOT_SERVING and waits until others have noticed.
func (d Drain) announce(ctx context.Context) {
	if d.Health == nil {
		return
	}
	d.Health.Drain()
	select {
	case <-ctx.Done():
	case <-time.After(d.Delay):
	}
}
