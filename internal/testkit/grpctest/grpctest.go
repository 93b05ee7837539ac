// Package grpctest runs gRPC services behind the real chain of interceptors: the same server,
// contract, authorization, validation and error mapping as in a program, without sidecars, in
// memory or on a port of loopback. Tests import it.
package grpctest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/auditing"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/token"
)

// Config says what differs from a plain server.
type Config struct {
	Program       string                        // mesh name of the program under test; required
	Registrations []grpcserver.Registration     // its services; required
	Contract      *contract.Contract            // nil means what the linked protos say
	Callers       grpcserver.Callers            // nil means who may call by the built-in mesh, or by Contract; Consenting when nobody does yet
	Verifier      access.Verifier               // nil means the verifier of Tokens
	Permissions   access.Permissions            // nil permits nothing; NewGrants makes a table
	Changes       *access.Changes               // of permissions; nil lets streams ask again each Recheck
	Refusals      auditing.Refusals             // nil forgets them; NewTrail keeps what is refused
	Tokens        *Tokens                       // nil means a fresh issuer; reachable as Server.Tokens
	Recheck       time.Duration                 // of long-lived streams; 0 means as in a program
	Log           io.Writer                     // where the JSON log goes; nil discards it
	Now           func() time.Time              // nil means time.Now
	Registry      prometheus.Registerer         // where metrics go; nil forgets them
	Tracer        trace.TracerProvider          // nil records nothing
	Propagator    propagation.TextMapPropagator // takes over traces; nil leaves calls without
	GRPC          grpcserver.Config
	Prefix        request.ServicePrefix // of the services' names in Consul; callers without it are strangers
	TCP           bool                  // on a port of loopback instead of in memory
}

// Server is a running server.
type Server struct {
	Tokens *Tokens
	Health *health.Health

	t        testing.TB
	contract *contract.Contract
	server   *grpcserver.Server
	dial     func(context.Context) (net.Conn, error)
}

// New starts a server; it stops with the test.
func New(t testing.TB, c Config) *Server {
	t.Helper()
	if c.Callers == nil {
		c.Callers = callers(t, c.Contract)
	}
	if c.Contract == nil {
		c.Contract = meshtest.Contract(t)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Tokens == nil {
		c.Tokens = NewTokens(t, c.Now)
	}
	if c.Verifier == nil {
		c.Verifier = c.Tokens.Verifier()
	}
	if c.Permissions == nil {
		c.Permissions = NewGrants()
	}
	if c.Refusals == nil {
		c.Refusals = NewTrail()
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	log := logging.New(logging.Config{Level: "debug"}, c.Log)
	h := health.New(log)
	where := Mesh()
	where.Prefix = c.Prefix
	server, err := grpcserver.New(grpcserver.Params{
		Config: c.GRPC, Program: c.Program, Contract: c.Contract, Mesh: where, Callers: c.Callers, Verifier: c.Verifier, Health: h,
		Permissions: c.Permissions, Changes: c.Changes, Refusals: c.Refusals, Recheck: c.Recheck, Registrations: c.Registrations, Log: log, Now: c.Now,
		Registry: c.Registry, Tracer: c.Tracer, Propagator: c.Propagator,
	})
	if err != nil {
		t.Fatalf("make server: %v", err)
	}
	listener, dial := listen(t, c.TCP)
	s := &Server{Tokens: c.Tokens, Health: h, t: t, contract: c.Contract, server: server, dial: dial}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return s
}

// listen returns where a server listens and how to get there.
func listen(t testing.TB, tcp bool) (net.Listener, func(context.Context) (net.Conn, error)) {
	t.Helper()
	if !tcp {
		l := bufconn.Listen(1 << 20)
		return l, l.DialContext
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	return l, func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	}
}

// Drain shuts the server down as a stopping program does.
func (s *Server) Drain(ctx context.Context) error { return s.server.Shutdown(ctx) }

// Dial returns a connection on which every call carries these metadata pairs and nothing else.
func (s *Server) Dial(pairs ...string) *grpc.ClientConn {
	s.t.Helper()
	conn, err := grpc.NewClient("passthrough:///bufconn", append(s.DialOptions(pairs...), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(mesh.StreamWindow), grpc.WithStaticConnWindowSize(mesh.ConnectionWindow))...)
	if err != nil {
		s.t.Fatalf("dial: %v", err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Connect opens a connection as DialOptions do.
func (s *Server) Connect(ctx context.Context, _ string) (net.Conn, error) { return s.dial(ctx) }

// DialOptions lead any connection here and add these metadata pairs to every call, as a pair of sidecars does with the caller's id.
func (s *Server) DialOptions(pairs ...string) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithContextDialer(s.Connect),
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			err := invoke(metadata.AppendToOutgoingContext(ctx, pairs...), method, req, reply, cc, opts...)
			s.stated(method, err)
			return err
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return open(metadata.AppendToOutgoingContext(ctx, pairs...), desc, cc, method, opts...)
		}),
	}
}

// As returns a connection as the named program of the mesh would have it, without a bearer token.
func (s *Server) As(program string) *grpc.ClientConn {
	s.t.Helper()
	return s.Dial(request.CallerHeader, SPIFFE(program))
}

// Through returns a connection as As does, with the id of the one request on it and further
// metadata pairs.
func (s *Server) Through(program, requestID string, pairs ...string) *grpc.ClientConn {
	s.t.Helper()
	return s.Dial(append([]string{request.CallerHeader, SPIFFE(program), request.IDHeader, requestID}, pairs...)...)
}

// AsUser returns a connection as the gateway has it for a signed-in user.
func (s *Server) AsUser(claims token.Claims) *grpc.ClientConn {
	s.t.Helper()
	return s.Dial(request.CallerHeader, SPIFFE(edge(s.t).Name), "authorization", "Bearer "+s.Tokens.Sign(claims))
}

// callers are who may call by the built-in mesh, or by a contract of its own.
func callers(t testing.TB, own *contract.Contract) grpcserver.Callers {
	t.Helper()
	if own != nil {
		return mesh.Derive(own)
	}
	return meshtest.Definition(t)
}

// edge is the gateway of the built-in mesh.
func edge(t testing.TB) mesh.Program {
	t.Helper()
	program, err := meshtest.Definition(t).Edge()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// Consenting admits every program that the callee consents to, whether it declares the call or not:
// for methods that nobody calls yet.
func Consenting(t testing.TB) grpcserver.Callers {
	t.Helper()
	return consenting{contract: meshtest.Contract(t), edge: edge(t).Name}
}

type consenting struct {
	contract *contract.Contract
	edge     string
}

// IsEdge asks the mesh.
func (c consenting) IsEdge(program string) bool { return program == c.edge }

// Admits asks for the consent alone.
func (c consenting) Admits(method, program string) bool {
	m, ok := c.contract.Method(method)
	return ok && m.Consents(contract.Program{Name: program, Edge: program == c.edge})
}

// Mesh is where the test's programs are.
func Mesh() request.Mesh {
	return request.Mesh{TrustDomain: "11111111-2222-3333-4444-555555555555.consul", Datacenter: "dc1"}
}

// SPIFFE is the id of a program's mesh certificate.
func SPIFFE(program string) string { return Mesh().SPIFFE(program) }
