package client

import (
	"context"
	"fmt"

	grpcprometheus "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/tracing"
)

// Metrics are how many calls a program makes, how they end and how long they take, by the service
// and the method that it calls: grpc_client_handled_total and grpc_client_handling_seconds, among
// others. A call that is tried again counts once, by its last answer.
type Metrics struct{ all *grpcprometheus.ClientMetrics }

// NewMetrics makes those of a program and registers them.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	all := grpcprometheus.NewClientMetrics(grpcprometheus.WithClientHandlingTimeHistogram())
	if err := registry.Register(all); err != nil {
		return nil, fmt.Errorf("register metrics of clients: %w", err)
	}
	return &Metrics{all: all}, nil
}

// observed are the options by which a connection counts its calls and hands on their traces. They
// come first: what they see is the call as its caller does.
func (o Options) observed() []grpc.DialOption {
	var options []grpc.DialOption
	if o.Metrics != nil {
		options = append(options, grpc.WithChainUnaryInterceptor(o.Metrics.all.UnaryClientInterceptor()),
			grpc.WithChainStreamInterceptor(o.Metrics.all.StreamClientInterceptor()))
	}
	switch {
	case tracing.Recorded(o.Tracer):
		return append(options, grpc.WithStatsHandler(otelgrpc.NewClientHandler(
			otelgrpc.WithTracerProvider(o.Tracer), otelgrpc.WithPropagators(o.propagator()))))
	case o.Propagator != nil:
		return append(options, grpc.WithChainUnaryInterceptor(o.unaryTrace), grpc.WithChainStreamInterceptor(o.streamTrace))
	}
	return options
}

func (o Options) propagator() propagation.TextMapPropagator {
	if o.Propagator == nil {
		return propagation.NewCompositeTextMapPropagator() // none
	}
	return o.Propagator
}

// outgoing collects what a propagator sends, as pairs of metadata.
type outgoing []string

// Get returns nothing: what goes out is only written.
func (*outgoing) Get(string) string { return "" }

// Set adds a pair.
func (p *outgoing) Set(key, value string) { *p = append(*p, key, value) }

// Keys returns nothing.
func (*outgoing) Keys() []string { return nil }

// trace hands on the ids of a trace that nobody records.
func (o Options) trace(ctx context.Context) context.Context {
	var pairs outgoing
	o.Propagator.Inject(ctx, &pairs)
	if len(pairs) == 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

func (o Options) unaryTrace(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoker(o.trace(ctx), method, req, reply, cc, opts...)
}

func (o Options) streamTrace(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return streamer(o.trace(ctx), desc, cc, method, opts...)
}
