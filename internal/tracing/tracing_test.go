package tracing_test

import (
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/gatehouse/gatehouse/internal/tracing"
)

func TestRecorded(t *testing.T) {
	sdk := sdktrace.NewTracerProvider()
	t.Cleanup(func() { _ = sdk.Shutdown(t.Context()) })
	for name, c := range map[string]struct {
		provider trace.TracerProvider
		want     bool
	}{"none": {nil, false}, "ids": {tracing.IDs(), false}, "noop": {noop.NewTracerProvider(), false}, "the SDK's": {sdk, true}} {
		if got := tracing.Recorded(c.provider); got != c.want {
			t.Errorf("%s is recorded: %t", name, got)
		}
	}
}

// A trace is continued where there is one, and begun where there is none or another must begin.
func TestTracesOfIDs(t *testing.T) {
	tracer := tracing.IDs().Tracer("test")
	first, span := tracer.Start(t.Context(), "first")
	if !span.SpanContext().IsValid() || span.IsRecording() {
		t.Fatalf("the first span is %+v, recording: %t", span.SpanContext(), span.IsRecording())
	}
	if _, second := tracer.Start(first, "second"); second.SpanContext().TraceID() != span.SpanContext().TraceID() {
		t.Error("a span below another begins a trace of its own")
	}
	if _, root := tracer.Start(first, "root", trace.WithNewRoot()); !root.SpanContext().IsValid() || root.SpanContext().TraceID() == span.SpanContext().TraceID() {
		t.Errorf("a new root has the trace %s", root.SpanContext().TraceID())
	}
	if tracing.Continue(first) != first {
		t.Error("a context with a trace is replaced")
	}
	if ctx := tracing.Continue(t.Context()); !trace.SpanContextFromContext(ctx).IsValid() {
		t.Error("a context without a trace gets none")
	}
}
