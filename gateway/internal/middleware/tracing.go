package middleware

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/gatehouse/gatehouse/internal/tracing"
)

// traced begins the trace of a request. A trace id that a client sends is linked, never continued: strangers must not decide what is
// sampled, nor write into each other's traces.
func traced(provider trace.TracerProvider, propagator propagation.TextMapPropagator) step {
	if !tracing.Recorded(provider) {
		return identified
	}
	return func(next http.Handler) http.Handler {
		inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			span := trace.SpanFromContext(r.Context())
			x := exchangeOf(r.Context())
			x.span = span.SpanContext()
			next.ServeHTTP(w, r)
			if span.IsRecording() {
				span.SetName(verb(r.Method) + " " + x.pattern())
			}
		})
		return otelhttp.NewHandler(inner, "request",
			otelhttp.WithTracerProvider(provider),
			otelhttp.WithMeterProvider(noop.NewMeterProvider()), // metrics.go has them, with our routes
			otelhttp.WithPropagators(propagator),
			otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }),
		)
	}
}

// identified gives a request the ids of a trace that nobody records.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := tracing.Begin(r.Context())
		exchangeOf(ctx).span = trace.SpanContextFromContext(ctx)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
