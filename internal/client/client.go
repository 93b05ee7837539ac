// Package client reaches other programs of the mesh: connections to the local upstream listeners of the own sidecar, with deadlines and
// retries that follow from the callee's contract, and the two feeds that token verification needs.
//
// It is the only kernel package that imports generated service code. Wiring imports it.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
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
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
)

// Options are what connections are made with. Contract is required.
type Options struct {
	Contract   *contract.Contract
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
	Dial       []grpc.DialOption // for tests: the last word on how to connect
}

// Dial returns a connection of program to the local port of its upstream. It does not wait for the peer: a call fails with UNAVAILABLE
// while nobody answers, and works again within a second of the peer's return. The loopback hop is in clear text; the sidecar adds mTLS.
//
// A call has the deadline of its contract, or the caller's if that is earlier. Only calls that are repeatable by their contract are tried
// again, at most twice, and only on UNAVAILABLE: this is the one retry layer of the mesh. What a program says after it has asked or waited
// itself is not tried again (grpcserver).
func Dial(def *mesh.Definition, offset int, program, upstream string, o Options) (*grpc.ClientConn, error) {
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
	conn, err := grpc.NewClient(fmt.Sprintf("passthrough:///127.0.0.1:%d", port+offset), append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(config),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(o.telemetry()...)),
		grpc.WithChainUnaryInterceptor(unaryRequestID, answered),
		grpc.WithChainStreamInterceptor(streamRequestID),
		grpc.WithConnectParams(grpc.ConnectParams{
			// gRPC's default grows to two minutes, long after the peer is back.
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(grpcserver.MaxMessage), grpc.MaxCallSendMsgSize(grpcserver.MaxMessage)),
	}, o.Dial...)...)
	if err != nil {
		return nil, fmt.Errorf("connect %s to %s: %w", program, upstream, err)
	}
	return conn, nil
}

func (o Options) telemetry() []otelgrpc.Option {
	var options []otelgrpc.Option
	if o.Tracer != nil {
		options = append(options, otelgrpc.WithTracerProvider(o.Tracer))
	}
	if o.Propagator != nil {
		options = append(options, otelgrpc.WithPropagators(o.Propagator))
	}
	return options
}

// methodConfig is one entry of a gRPC service config (gRFC A2, A6).
type methodConfig struct {
	Name        []methodName `json:"name"`
	Timeout     string       `json:"timeout,omitempty"`
	RetryPolicy *retryPolicy `json:"retryPolicy,omitempty"`
}

type methodName struct {
	Service string `json:"service"`
	Method  string `json:"method"`
}

type retryPolicy struct {
	MaxAttempts          int      `json:"maxAttempts"`
	InitialBackoff       string   `json:"initialBackoff"`
	MaxBackoff           string   `json:"maxBackoff"`
	BackoffMultiplier    float64  `json:"backoffMultiplier"`
	RetryableStatusCodes []string `json:"retryableStatusCodes"`
}

// serviceConfig writes deadlines and retries of every method of the upstream.
func serviceConfig(def *mesh.Definition, c *contract.Contract, upstream string) (string, error) {
	var config struct {
		MethodConfig []methodConfig `json:"methodConfig"`
	}
	for _, row := range def.Methods {
		m, ok := c.Method(row.Path)
		if row.Callee != upstream || !ok {
			continue
		}
		service, name, _ := strings.Cut(strings.TrimPrefix(row.Path, "/"), "/")
		mc := methodConfig{Name: []methodName{{Service: service, Method: name}}}
		if !m.LongLived {
			mc.Timeout = fmt.Sprintf("%.3fs", m.Timeout.Seconds())
		}
		if repeatable(m) && !m.LongLived {
			mc.RetryPolicy = &retryPolicy{
				MaxAttempts: 3, InitialBackoff: "0.1s", MaxBackoff: "0.5s", BackoffMultiplier: 2,
				RetryableStatusCodes: []string{"UNAVAILABLE"},
			}
		}
		config.MethodConfig = append(config.MethodConfig, mc)
	}
	data, err := json.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("write service config of %s: %w", upstream, err)
	}
	return string(data), nil
}

// repeatable reports whether a call may be made again behind its caller's back. UNAVAILABLE leaves open whether the first attempt was
// carried out and only its answer lost, so the repeat must answer what the first would have. That holds where nothing changes
// (NO_SIDE_EFFECTS). IDEMPOTENT alone promises the same state, not the same answer: after a change that took an etag the repeat is
// refused as stale, after a deletion as unknown, after a sign-out as signed out. So of those only programs' own methods (access service)
// without an etag are repeated: their comments define that a repeat answers as the first call did.
func repeatable(m *contract.Method) bool {
	conditional := m.Descriptor.Input().Fields().ByName("etag") != nil
	return m.ReadOnly || m.Idempotent && m.Has(contract.Service) && !conditional
}

// withRequestID hands the id of the request on.
func withRequestID(ctx context.Context) context.Context {
	if id := request.ID(ctx); id != "" {
		return metadata.AppendToOutgoingContext(ctx, request.IDHeader, id)
	}
	return ctx
}

func unaryRequestID(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoker(withRequestID(ctx), method, req, reply, cc, opts...)
}

// answered takes off what gRPC puts around the last answer of a call that it tried again ("max
// retries exhausted: …"): a status is the other program's words, and clients read them. The answer
// may be lost: an upstream that ends the call before the request is written is an end of file to
// gRPC's retries. Only UNAVAILABLE is tried again (serviceConfig), so that is what it was.
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

func streamRequestID(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return streamer(withRequestID(ctx), desc, cc, method, opts...)
}

// Conns are the connections of one program, one for each upstream. Safe for concurrent use.
type Conns struct {
	def     *mesh.Definition
	offset  int
	program string
	options Options

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn
}

// NewConns makes an empty set.
func NewConns(def *mesh.Definition, offset int, program string, o Options) *Conns {
	return &Conns{def: def, offset: offset, program: program, options: o, conns: map[string]*grpc.ClientConn{}}
}

// Conn returns the connection to an upstream, the same one each time.
func (c *Conns) Conn(upstream string) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn, ok := c.conns[upstream]; ok {
		return conn, nil
	}
	conn, err := Dial(c.def, c.offset, c.program, upstream, c.options)
	if err != nil {
		return nil, err
	}
	c.conns[upstream] = conn
	return conn, nil
}

// Close closes every connection.
func (c *Conns) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	clear(c.conns)
	return errors.Join(errs...)
}
