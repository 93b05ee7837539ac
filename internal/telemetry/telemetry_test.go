package telemetry_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/telemetry"
)

// sink is an OTLP collector that remembers names.
type sink struct {
	collector.UnimplementedTraceServiceServer

	mu    sync.Mutex
	names []string
}

func (s *sink) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range r.GetResourceSpans() {
		for _, a := range resource.GetResource().GetAttributes() {
			s.names = append(s.names, a.GetKey()+"="+a.GetValue().GetStringValue())
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				s.names = append(s.names, span.GetName())
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestSpansReachTheCollectorAtShutdown(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	received := &sink{}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, received)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	config := telemetry.Config{Endpoint: "http://" + listener.Addr().String(), SampleRatio: 1}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	tel, err := telemetry.New(t.Context(), config, "identity", "v1")
	if err != nil {
		t.Fatal(err)
	}
	_, span := tel.TracerProvider().Tracer("test").Start(t.Context(), "work")
	span.End()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	received.mu.Lock()
	defer received.mu.Unlock()
	for _, want := range []string{"work", "service.name=identity", "service.version=v1"} {
		if !slices.Contains(received.names, want) {
			t.Errorf("the collector has %v, not %s", received.names, want)
		}
	}
}

func TestTraceIDsExistAndTravelWithoutACollector(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Config{SampleRatio: 1}, "identity", "v1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := tel.TracerProvider().Tracer("test").Start(t.Context(), "work")
	if !span.SpanContext().HasTraceID() || span.IsRecording() {
		t.Errorf("trace id %v, recording %t", span.SpanContext().TraceID(), span.IsRecording())
	}
	carrier := propagation.MapCarrier{}
	tel.Propagator().Inject(ctx, carrier)
	if carrier["traceparent"] == "" || len(carrier) != 1 {
		t.Errorf("travels as %v", carrier)
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRegistryKnowsTheBuild(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Config{}, "identity", "v1")
	if err != nil {
		t.Fatal(err)
	}
	families, err := tel.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	for _, want := range []string{"gatehouse_build_info", "go_goroutines", "process_resident_memory_bytes"} {
		if !slices.Contains(names, want) {
			t.Errorf("no metric %s", want)
		}
	}
}

func TestValidateRefusesWhatCannotWork(t *testing.T) {
	for _, bad := range []telemetry.Config{
		{Endpoint: "127.0.0.1:4317"}, {Endpoint: "http://"}, {Endpoint: "ftp://x"}, {Endpoint: "http://user:pw@x:1"},
		{SampleRatio: -0.1}, {SampleRatio: 1.1},
	} {
		if bad.Validate() == nil {
			t.Errorf("accepted %+v", bad)
		}
	}
	if err := (telemetry.Config{Endpoint: "https://collector:4317", SampleRatio: 0.5}).Validate(); err != nil {
		t.Error(err)
	}
}
