package fxmod

import (
	"context"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/telemetry"
)

// Logging provides *slog.Logger, which writes to stderr, and lets fx log to it at debug.
func Logging(c logging.Config) fx.Option {
	return fx.Options(
		fx.Provide(func(p Program) *slog.Logger { return logging.New(c, os.Stderr).With("program", p.Name) }),
		fx.WithLogger(func(log *slog.Logger) fxevent.Logger {
			l := &fxevent.SlogLogger{Logger: log}
			l.UseLogLevel(slog.LevelDebug)
			l.UseErrorLevel(slog.LevelDebug) // Run tells people why a start failed
			return l
		}),
	)
}

// Telemetry provides *telemetry.Telemetry, and what of it others take: trace.TracerProvider,
// propagation.TextMapPropagator, prometheus.Registerer and prometheus.Gatherer. It needs Program.
func Telemetry(c telemetry.Config) fx.Option {
	return fx.Provide(
		func(p Program) (*telemetry.Telemetry, error) {
			return telemetry.New(context.Background(), c, p.Name, p.Version)
		},
		func(t *telemetry.Telemetry) trace.TracerProvider { return t.TracerProvider() },
		func(t *telemetry.Telemetry) propagation.TextMapPropagator { return t.Propagator() },
		func(t *telemetry.Telemetry) prometheus.Registerer { return t.Registry },
		func(t *telemetry.Telemetry) prometheus.Gatherer { return t.Registry },
	)
}
