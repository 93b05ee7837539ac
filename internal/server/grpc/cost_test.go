package grpcserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/tracing"
)

// mostAllocations is what the chain may allocate for a public unary call, over gRPC alone.
const mostAllocations = 100

// BenchmarkChain compares a server as a program has it, which exports no traces, with gRPC alone,
// by the same calls in turn. The client's allocations are the same on both sides.
func BenchmarkChain(b *testing.B) {
	d := newDemo(b)
	tokens := grpctest.NewTokens(b, time.Now)
	var clock atomic.Int64 // slower than the contract's rate, which the calls would meet
	now := func() time.Time { return time.UnixMilli(clock.Add(1)) }
	ours, bare := asInAProgram(b, d, tokens, now), grpc.NewServer()
	bare.RegisterService(d.registration().Desc, d)
	pairs := []string{
		request.CallerHeader, grpctest.SPIFFE("gateway"), request.IDHeader, "req-1", request.ClientAddressHeader, "203.0.113.7",
		request.ClientAgentHeader, "curl/8.5.0", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
	conn, alone := serve(b, ours, pairs), serve(b, bare, pairs)
	signedIn := serve(b, ours, append(pairs, "authorization", "Bearer "+tokens.Sign(tokens.Claims(me))))
	public := func(conn *grpc.ClientConn) func() {
		return func() { check.NoError(b, d.call(b.Context(), conn, "Public", "id", me)) }
	}
	const calls = 300
	var over, seen float64
	rounds := 0
	for b.Loop() {
		rounds++
		without := testing.AllocsPerRun(calls, public(alone))
		over += testing.AllocsPerRun(calls, public(conn)) - without
		seen += testing.AllocsPerRun(calls, func() { check.NoError(b, d.call(b.Context(), signedIn, "GetUser", "id", me)) }) - without
	}
	over, seen = over/float64(rounds), seen/float64(rounds)
	b.ReportMetric(over, "allocs/public")
	b.ReportMetric(seen, "allocs/self")
	b.ReportMetric(0, "ns/op")
	if over > mostAllocations {
		b.Errorf("the chain allocates %.0f times for a public call, more than %d", over, mostAllocations)
	}
}

// mostMessageAllocations is what the chain may allocate for a message of a stream, each way, over
// gRPC alone.
const mostMessageAllocations = 6

// BenchmarkMessages is what a message each way costs on an open stream, in allocations over gRPC
// alone. The client's are the same on both sides.
func BenchmarkMessages(b *testing.B) {
	d := newDemo(b)
	d.stream = func(s grpc.ServerStream) error {
		for {
			m := d.message()
			if err := s.RecvMsg(m); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			if err := s.SendMsg(m); err != nil {
				return err
			}
		}
	}
	tokens := grpctest.NewTokens(b, time.Now)
	bare := grpc.NewServer()
	bare.RegisterService(d.registration().Desc, d)
	ctx := metadata.AppendToOutgoingContext(b.Context(), request.CallerHeader, grpctest.SPIFFE("worker"))
	each := func(s served) (allocations float64) {
		stream, err := d.open(ctx, serve(b, s, nil), "Ingest")
		check.NoError(b, err)
		return testing.AllocsPerRun(1000, func() {
			check.NoError(b, stream.SendMsg(d.message("id", me)))
			check.NoError(b, stream.RecvMsg(d.message()))
		})
	}
	var over float64
	rounds := 0.0
	for b.Loop() {
		rounds++
		over += each(asInAProgram(b, d, tokens, time.Now)) - each(bare)
	}
	b.ReportMetric(over/rounds, "allocs/message")
	b.ReportMetric(0, "ns/op")
	if over/rounds > mostMessageAllocations {
		b.Errorf("the chain allocates %.0f times for a message each way, more than %d", over/rounds, mostMessageAllocations)
	}
}

// mostStack is what an open stream may hold of stacks, over gRPC alone, in bytes.
const mostStack = 20 << 10

// BenchmarkOpenStreams is what a person's open stream holds of stacks and how many goroutines, over
// gRPC alone. The client's are the same on both sides.
func BenchmarkOpenStreams(b *testing.B) {
	const streams = 1000
	d, opened := newDemo(b), make(chan time.Duration, streams)
	d.stream = func(s grpc.ServerStream) error {
		check.NoError(b, s.RecvMsg(d.message()))
		work()
		return waits(opened)(s)
	}
	tokens := grpctest.NewTokens(b, time.Now)
	bare := grpc.NewServer(grpc.MaxConcurrentStreams(streams))
	bare.RegisterService(d.registration().Desc, d)
	pairs := []string{request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "Bearer " + tokens.Sign(tokens.Claims(me))}
	conn, alone := serve(b, asInAProgram(b, d, tokens, time.Now), nil), serve(b, bare, nil)
	open := func(conn *grpc.ClientConn) (stack, goroutines float64) {
		ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(b.Context(), pairs...))
		defer cancel()
		beforeStack, before := stacks()
		for range streams {
			stream, err := d.open(ctx, conn, "Chat")
			check.NoError(b, err)
			check.NoError(b, stream.SendMsg(d.message("id", me)))
			<-opened
		}
		afterStack, after := stacks()
		return (afterStack - beforeStack) / streams, (after - before) / streams
	}
	var stack, goroutines float64
	rounds := 0.0
	for b.Loop() {
		rounds++
		bareStack, bareGoroutines := open(alone)
		ourStack, ourGoroutines := open(conn)
		stack, goroutines = stack+ourStack-bareStack, goroutines+ourGoroutines-bareGoroutines
	}
	b.ReportMetric(stack/rounds, "stack-B/stream")
	b.ReportMetric(goroutines/rounds, "goroutines/stream")
	b.ReportMetric(0, "ns/op")
	if stack/rounds > mostStack {
		b.Errorf("an open stream holds %.0f bytes of stacks over gRPC alone, more than %d", stack/rounds, mostStack)
	}
}

// work needs as much of the stack as a statement.
//
//go:noinline
func work() {
	var room [5 << 10]byte
	runtime.KeepAlive(&room)
}

// stacks returns the bytes of all stacks and the number of goroutines, once those that ended are
// gone.
func stacks() (bytes, goroutines float64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.StackInuse), float64(runtime.NumGoroutine())
}

// asInAProgram is a server as a program has it, which exports no traces.
func asInAProgram(b *testing.B, d *demo, tokens *grpctest.Tokens, now func() time.Time) *grpcserver.Server {
	b.Helper()
	log := logging.New(logging.Config{Level: "info"}, io.Discard).With("program", "demo")
	server, err := grpcserver.New(grpcserver.Params{
		Program: "demo", Contract: d.contract, Mesh: grpctest.Mesh(), Callers: mesh.Derive(d.contract), Verifier: tokens.Verifier(),
		Health: health.New(log), Permissions: grpctest.NewGrants(), Refusals: grpctest.NewTrail(),
		Registrations: []grpcserver.Registration{d.registration()}, Log: log, Now: now,
		Registry: prometheus.NewRegistry(), Tracer: tracing.IDs(), Propagator: propagation.TraceContext{},
	})
	check.NoError(b, err)
	return server
}

// served is what serves on a listener.
type served interface {
	Serve(l net.Listener) error
	Stop()
}

// serve runs a server in memory and returns a connection that sends the pairs with every call.
func serve(b *testing.B, s served, pairs []string) *grpc.ClientConn {
	b.Helper()
	listener := bufconn.Listen(1 << 20)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(listener) }()
	b.Cleanup(func() {
		s.Stop()
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
			b.Errorf("serve: %v", err)
		}
	})
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithUnaryInterceptor(withPairs(pairs)))
	check.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close() })
	return conn
}

func withPairs(pairs []string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return invoke(metadata.AppendToOutgoingContext(ctx, pairs...), method, req, reply, cc, opts...)
	}
}
