package client_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/tracing"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// observing connects Identity to a with these options.
func observing(t *testing.T, a *auth, o client.Options) authv1.VerificationServiceClient {
	t.Helper()
	s := grpctest.New(t, grpctest.Config{Program: "auth", Propagator: o.Propagator, Registrations: []grpcserver.Registration{{Desc: &authv1.VerificationService_ServiceDesc, Impl: a}}})
	o.Contract = meshtest.Contract(t)
	o.Dial = s.DialOptions(request.CallerHeader, grpctest.SPIFFE("identity"))
	conn, err := client.Dial(meshtest.Definition(t), 0, "identity", "auth", o)
	check.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return authv1.NewVerificationServiceClient(conn)
}

// A call counts once, by its last answer, however often it was tried.
func TestCallsAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := client.NewMetrics(registry)
	check.NoError(t, err)
	a := &auth{}
	a.keys = func(context.Context) (*authv1.GetKeySetResponse, error) {
		if a.calls.Load() == 1 {
			return nil, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
		}
		return &authv1.GetKeySetResponse{}, nil
	}
	_, err = observing(t, a, client.Options{Metrics: metrics}).GetKeySet(t.Context(), &authv1.GetKeySetRequest{})
	check.NoError(t, err)
	families, err := registry.Gather()
	check.NoError(t, err)
	counted := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				switch l.GetName() {
				case "grpc_code":
					counted[l.GetValue()] += m.GetCounter().GetValue()
				case "grpc_service":
					counted[l.GetValue()+" "+f.GetName()] += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
		}
	}
	const service = "gatehouse.auth.v1.VerificationService "
	if a.calls.Load() != 2 || counted["OK"] != 1 || counted["Unavailable"] != 0 ||
		counted[service+"grpc_client_handled_total"] != 1 || counted[service+"grpc_client_handling_seconds"] != 1 {
		t.Errorf("after %d attempts the metrics are %v", a.calls.Load(), counted)
	}
}

// A trace goes on in the callee, whether anybody records it or not, in unary calls and in streams.
func TestTracesTravel(t *testing.T) {
	recorded := sdktrace.NewTracerProvider()
	t.Cleanup(func() { _ = recorded.Shutdown(t.Context()) })
	for name, tracer := range map[string]trace.TracerProvider{"ids": tracing.IDs(), "recorded": recorded} {
		t.Run(name, func(t *testing.T) {
			seen := make(chan trace.TraceID, 2)
			note := func(ctx context.Context) { seen <- trace.SpanContextFromContext(ctx).TraceID() }
			a := &auth{watch: note, keys: func(ctx context.Context) (*authv1.GetKeySetResponse, error) {
				note(ctx)
				return &authv1.GetKeySetResponse{}, nil
			}}
			c := observing(t, a, client.Options{Tracer: tracer, Propagator: propagation.TraceContext{}})
			ctx, span := tracer.Tracer("test").Start(t.Context(), "work")
			defer span.End()
			_, err := c.GetKeySet(ctx, &authv1.GetKeySetRequest{})
			check.NoError(t, err)
			stream, err := c.WatchRevocations(ctx, &authv1.WatchRevocationsRequest{}, grpc.WaitForReady(true))
			check.NoError(t, err)
			_, _ = stream.Recv() // it ends at once
			for _, what := range []string{"call", "stream"} {
				if id := <-seen; id != span.SpanContext().TraceID() {
					t.Errorf("the %s has the trace %s, not %s", what, id, span.SpanContext().TraceID())
				}
			}
		})
	}
}
