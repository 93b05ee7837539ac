// Package telemetry makes the traces and metrics of a program: an OpenTelemetry tracer provider, which exports by OTLP when an endpoint
// is configured, and a Prometheus registry for the ops listener.
//
// Nothing here is global: pass the provider and the registry on. Wiring and kernel packages import it.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/gatehouse/gatehouse/internal/tracing"
)

// Config is the option group of traces and metrics.
type Config struct {
	Endpoint    string  `name:"telemetry-otlp-endpoint" env:"GATEHOUSE_TELEMETRY_OTLP_ENDPOINT" help:"URL of an OTLP gRPC collector for traces, such as http://127.0.0.1:4317; none are exported without."`
	SampleRatio float64 `name:"telemetry-sample-ratio" env:"GATEHOUSE_TELEMETRY_SAMPLE_RATIO" default:"1" help:"Share of new traces that is exported, 0 to 1."`
}

// Validate reports contradictions.
func (c Config) Validate() error {
	if c.SampleRatio < 0 || c.SampleRatio > 1 {
		return fmt.Errorf("GATEHOUSE_TELEMETRY_SAMPLE_RATIO is %v: set it to a number from 0 to 1", c.SampleRatio)
	}
	if c.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return errors.New("GATEHOUSE_TELEMETRY_OTLP_ENDPOINT is not a collector's URL: write http://host:port, or https://host:port for TLS")
	}
	return nil
}

// Telemetry is the tracer provider and the metrics registry of one program.
type Telemetry struct {
	Registry *prometheus.Registry // carries the Go runtime, the process and gatehouse_build_info

	recorded *sdktrace.TracerProvider // nil without an endpoint
}

// New makes both. Without an endpoint spans are not recorded (internal/tracing), but trace ids
// still exist, travel and stand in the log. The collector need not be up: spans wait in a bounded
// queue and are dropped when it is full.
func New(ctx context.Context, c Config, program, version string) (*Telemetry, error) {
	registry, err := newRegistry(program, version)
	if err != nil {
		return nil, err
	}
	if c.Endpoint == "" {
		return &Telemetry{Registry: registry}, nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(c.Endpoint))
	if err != nil {
		return nil, fmt.Errorf("set up the OTLP exporter: %w", err)
	}
	return &Telemetry{Registry: registry, recorded: sdktrace.NewTracerProvider(
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", program), attribute.String("service.version", version),
			attribute.String("service.namespace", "gatehouse"))),
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.SampleRatio))),
	)}, nil
}

func newRegistry(program, version string) (*prometheus.Registry, error) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "gatehouse_build_info", Help: "1, labelled with the program and its version.",
		ConstLabels: prometheus.Labels{"program": program, "version": version},
	})
	build.Set(1)
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build,
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return registry, nil
}

// TracerProvider returns the provider to instrument servers and clients with.
func (t *Telemetry) TracerProvider() trace.TracerProvider {
	if t.recorded == nil {
		return tracing.IDs()
	}
	return t.recorded
}

// Propagator returns the format in which trace ids travel: W3C trace context. Baggage does not travel: anyone could fill it.
func (t *Telemetry) Propagator() propagation.TextMapPropagator { return propagation.TraceContext{} }

// Shutdown exports what waits, bounded by the context, and ends the provider.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if t.recorded == nil {
		return nil
	}
	if err := t.recorded.Shutdown(ctx); err != nil {
		return fmt.Errorf("export the last traces: %w", err)
	}
	return nil
}
