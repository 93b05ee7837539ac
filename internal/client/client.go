// Package client reaches other programs of the mesh: connections to the local upstream listeners of
// the own sidecar, with deadlines and retries that follow from the callee's contract.
//
// It knows no program. What each callee offers is in a package below it, named after the callee:
// its typed client, its feeds, its topics of the outbox. Those are the only packages of the kernel
// that import generated service code. Wiring imports them.
package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Options are what connections are made with. Contract is required.
type Options struct {
	Contract   *contract.Contract
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
	Metrics    *Metrics          // nil counts nothing
	Dial       []grpc.DialOption // for tests: the last word on how to connect
}

// Dial returns a way of program to the local port of its upstream. It does not wait for the peer: a
// call fails with UNAVAILABLE while nobody answers, and works again within a second of the peer's
// return. The loopback hop is in clear text; the sidecar adds mTLS.
//
// A call has the deadline of its contract, or the caller's if that is earlier. Only calls that are
// repeatable by their contract are tried again, at most twice, and only on UNAVAILABLE, when the
// answer says so or soon: this is the one retry layer of the mesh. Programs answer that nothing is
// to be tried again where they have asked others or waited themselves (internal/server/grpc).
func Dial(def *mesh.Definition, offset int, program, upstream string, o Options) (*Conn, error) {
	p, err := def.Program(program)
	if err != nil {
		return nil, err
	}
	port, err := p.Upstream(upstream)
	if err != nil {
		return nil, err
	}
	config, err := serviceConfig(def, o.Contract, upstream)
	if err != nil {
		return nil, err
	}
	conn := &Conn{longLived: map[string]bool{}}
	for _, m := range def.Methods {
		if m.Callee == upstream && m.LongLived {
			conn.longLived[m.Path] = true
		}
	}
	dial := func(more ...grpc.DialOption) (*grpc.ClientConn, error) {
		conn, err := grpc.NewClient(fmt.Sprintf("passthrough:///127.0.0.1:%d", port+offset), slices.Concat(o.observed(), dialOptions(config), more, o.Dial)...)
		if err != nil {
			return nil, fmt.Errorf("connect %s to %s: %w", program, upstream, err)
		}
		return conn, nil
	}
	conn.dial = func() (*grpc.ClientConn, error) { return dial(grpc.WithIdleTimeout(idleConnection)) }
	conn.calls, err = dial()
	return conn, err
}

// dialOptions are those of every connection, beside what observes it.
func dialOptions(serviceConfig string) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithChainUnaryInterceptor(unaryHandOn, unaryReset, answered),
		grpc.WithChainStreamInterceptor(streamHandOn, streamReset),
		grpc.WithConnectParams(grpc.ConnectParams{
			// gRPC's default grows to two minutes, long after the peer is back.
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithStaticStreamWindowSize(mesh.StreamWindow), // gRPC would measure the connection with a ping at each call
		grpc.WithStaticConnWindowSize(mesh.ConnectionWindow),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(contract.MaxMessage), grpc.MaxCallSendMsgSize(contract.MaxMessage)),
	}
}

// handOn tells the callee which request this is, and where it came from.
func handOn(ctx context.Context) context.Context {
	var pairs []string
	client := request.ClientOf(ctx)
	for _, p := range [][2]string{
		{request.IDHeader, request.ID(ctx)}, {request.ClientAddressHeader, client.Address}, {request.ClientAgentHeader, client.Agent},
		{request.ClientLanguageHeader, client.Language},
	} {
		if p[1] != "" {
			pairs = append(pairs, p[0], p[1])
		}
	}
	if len(pairs) == 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

func unaryHandOn(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoker(handOn(ctx), method, req, reply, cc, opts...)
}

// answered takes off what gRPC puts around the last response of a call that it tried again ("max
// retries exhausted: …"): a status is the other program's words, and clients read them. The
// response may be lost: an upstream that ends the call before the request is written is an end of
// file to gRPC's retries. Only UNAVAILABLE is tried again (serviceConfig), so that is what it was.
func answered(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoker(ctx, method, req, reply, cc, opts...)
	var answer interface{ GRPCStatus() *status.Status }
	switch {
	case errors.As(err, &answer):
		return answer.GRPCStatus().Err()
	case errors.Is(err, io.EOF):
		return status.Error(codes.Unavailable, err.Error())
	}
	return err
}

func streamHandOn(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return streamer(handOn(ctx), desc, cc, method, opts...)
}
