// Package grpcserver is the gRPC server of a service: limits, the ordered interceptors and health.
//
// The interceptors enforce the contract (internal/contract): a method whose contract does not say
// enough is not served. What they decide and say is in packages of its own: internal/access,
// internal/auditing, internal/rpcstatus. Wiring and the test kit import it.
package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/stats"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/auditing"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Limits of every gRPC server (R54).
const (
	MaxHeaderList = 32 << 10 // bytes of a header block
	maxStreams    = 4096     // concurrent calls of one connection; the sidecar opens another one beyond
)

// Config is the option group of the gRPC server.
type Config struct {
	REST       bool `name:"rest" env:"GATEHOUSE_REST" help:"Answer REST at the service's own door too, on loopback at 8180 plus its slot. Every local process reaches it; a bearer token is needed as at the gateway. gatehouse up turns it on unless you set it."`
	Reflection bool `name:"grpc-reflection" env:"GATEHOUSE_GRPC_REFLECTION" help:"Serve gRPC reflection, for development: it tells every local process what the program offers. gatehouse up turns it on unless you set it."`
}

// Registration is one gRPC service that the server offers.
type Registration struct {
	Desc *grpc.ServiceDesc
	Impl any
	REST RESTHandler // of a service that has routes, for the program's own REST door
}

// Callers says which programs may call a method: *mesh.Definition is one, so that the sidecars'
// intentions and this server read the same list.
type Callers interface {
	// Admits reports whether a program, by its mesh name, may call a method,
	// "/package.Service/Method".
	Admits(method, program string) bool
	// IsEdge reports whether a program is the one that clients reach.
	IsEdge(program string) bool
}

// Params are what a server is made of. All but Registry, Tracer and Propagator are required, unless
// they say otherwise.
type Params struct {
	Config        Config
	Program       string // mesh name of this program: it serves its own contract and no other
	Contract      *contract.Contract
	Mesh          request.Mesh // where callers must come from
	Callers       Callers
	Verifier      access.Verifier
	Permissions   access.Permissions // required where a registered method asks for permissions
	Changes       *access.Changes    // of permissions; nil lets every stream ask again each Recheck
	Refusals      auditing.Refusals  // required where a registered method is audited or may be refused to somebody
	Health        *health.Health
	Registrations []Registration
	Recheck       time.Duration // how often a stream of a person proves again that it may go on; 0 means 3 s
	Log           *slog.Logger
	Now           func() time.Time
	Registry      prometheus.Registerer
	Tracer        trace.TracerProvider
	Propagator    propagation.TextMapPropagator
}

// Server is a gRPC server that can drain.
type Server struct {
	grpc    *grpc.Server
	made    Params
	drain   context.CancelFunc
	running *inflight
}

// New makes the server. A registration without a contract, or with another program's, is an error: it would answer nobody or
// everybody.
func New(p Params) (*Server, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.Recheck <= 0 {
		p.Recheck = access.DefaultRecheck
	}
	metrics, err := newMetrics(p.Registry)
	if err != nil {
		return nil, err
	}
	draining, drain := context.WithCancel(context.Background())
	running := &inflight{}
	chain, teller := middlewares(p, draining, running), tell(p, metrics)
	options := append(limits(), grpc.ChainUnaryInterceptor(chain.unary), grpc.ChainStreamInterceptor(chain.stream),
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return nil })) // nameStream answers
	for _, h := range observers(p, teller) {
		options = append(options, grpc.StatsHandler(h))
	}
	s := registrar{grpc.NewServer(options...)}
	for _, r := range p.Registrations {
		s.RegisterService(r.Desc, r.Impl)
	}
	healthpb.RegisterHealthServer(s, healthService{health: p.Health})
	if p.Config.Reflection {
		reflection.Register(s)
	}
	teller.methods = served(s.Server, p.Contract, metrics)
	return &Server{grpc: s.Server, made: p, drain: drain, running: running}, nil
}

// Serve answers calls on the listener until Shutdown or Stop, then returns nil.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve gRPC: %w", err)
	}
	return nil
}

func (p Params) check() error {
	if p.Mesh.TrustDomain == "" || p.Mesh.Datacenter == "" || p.Callers == nil {
		return errors.New("a server needs to know its mesh and who may call: it would admit strangers or nobody")
	}
	for _, r := range p.Registrations {
		for _, name := range methodsOf(r.Desc) {
			m, ok := p.Contract.Method(name)
			switch {
			case !ok || len(m.Access) == 0:
				return fmt.Errorf("%s has no access rule: state (gatehouse.options.v1.method) in its proto", name)
			case m.Program != p.Program:
				return fmt.Errorf("%s belongs to the contract of %q and %q cannot serve it", name, m.Program, p.Program)
			case m.Has(contract.Permission) && p.Permissions == nil:
				return fmt.Errorf("%s asks for permissions and nobody answers them: add service.RemotePermissions to the program", name)
			case auditing.Records(m) && p.Refusals == nil:
				return fmt.Errorf("%s is audited, or may be refused to somebody, and nobody records that: add service.Outbox to the program", name)
			}
		}
	}
	return nil
}

// methodsOf returns the full names of a service's methods.
func methodsOf(d *grpc.ServiceDesc) []string {
	var names []string
	for _, m := range d.Methods {
		names = append(names, "/"+d.ServiceName+"/"+m.MethodName)
	}
	for _, s := range d.Streams {
		names = append(names, "/"+d.ServiceName+"/"+s.StreamName)
	}
	return names
}

func limits() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(contract.MaxMessage),
		grpc.MaxSendMsgSize(contract.MaxMessage),
		grpc.MaxHeaderListSize(MaxHeaderList),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.StaticStreamWindowSize(mesh.StreamWindow), // gRPC would measure the connection with a ping at each call
		grpc.StaticConnWindowSize(mesh.ConnectionWindow),
		grpc.ConnectionTimeout(10 * time.Second), // a peer that does not finish its HTTP/2 preface
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
}

// traces opens a span for each call but health checks, which come every two seconds.
func traces(p Params) stats.Handler {
	options := []otelgrpc.Option{otelgrpc.WithFilter(func(i *stats.RPCTagInfo) bool { return !infrastructure(i.FullMethodName) })}
	if p.Tracer != nil {
		options = append(options, otelgrpc.WithTracerProvider(p.Tracer))
	}
	if p.Propagator != nil {
		options = append(options, otelgrpc.WithPropagators(p.Propagator))
	}
	return otelgrpc.NewServerHandler(options...)
}
