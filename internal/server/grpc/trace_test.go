package grpcserver_test

import (
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/tracing"
)

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent  = "00-" + callersTrace + "-00f067aa0ba902b7-01"
)

// A call belongs to the trace of the program that makes it, recorded or not, and its line says so.
// What comes every two seconds, a health check, is not recorded.
func TestTraceOfTheCaller(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	for name, tracer := range map[string]oteltrace.TracerProvider{
		"recorded": trace.NewTracerProvider(trace.WithSpanProcessor(recorder)), "ids": tracing.IDs(), "none": nil,
	} {
		t.Run(name, func(t *testing.T) {
			d, log := newDemo(t), &logLines{}
			s := start(t, d, grpctest.Config{Log: log, Tracer: tracer, Propagator: propagation.TraceContext{}})
			check.NoError(t, d.call(t.Context(), s.Through("gateway", "req-1", "traceparent", traceparent), "Public"))
			check.NoError(t, d.call(t.Context(), s.Through("gateway", "req-2"), "Public"))
			_, err := healthpb.NewHealthClient(s.Dial()).Check(t.Context(), &healthpb.HealthCheckRequest{})
			check.NoError(t, err)
			for id, ours := range map[string]bool{"req-1": true, "req-2": false} {
				check.Eventually(t, "the line of "+id, func() bool { return strings.Contains(log.String(), id) })
				for line := range strings.Lines(log.String()) {
					if strings.Contains(line, id) && strings.Contains(line, `"trace_id":"`+callersTrace+`"`) != ours {
						t.Errorf("the line of %s says %s", id, line)
					}
				}
			}
		})
	}
	check.Eventually(t, "both spans", func() bool { return len(recorder.Ended()) >= 2 })
	var traces []string
	for _, span := range recorder.Ended() {
		if span.Name() != strings.TrimPrefix(demoPath, "/")+"Public" {
			t.Errorf("%s is recorded", span.Name())
		}
		traces = append(traces, span.SpanContext().TraceID().String())
	}
	if len(traces) != 2 || !slices.Contains(traces, callersTrace) || traces[0] == traces[1] {
		t.Errorf("recorded are the traces %v, want the caller's and one of its own", traces)
	}
}
