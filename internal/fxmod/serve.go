package fxmod

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/auditing"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/mesh"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
	"github.com/gatehouse/gatehouse/internal/token"
)

// healthParams are the checks of the group "health".
type healthParams struct {
	fx.In

	Lifecycle fx.Lifecycle
	Log       *slog.Logger
	Checks    []health.Check `group:"health"`
}

// Health provides *health.Health and runs its checks, the first time at once.
func Health() fx.Option {
	return fx.Provide(func(p healthParams) *health.Health {
		h := health.New(p.Log, p.Checks...)
		Background(p.Lifecycle, h.Run)
		return h
	})
}

// OpsServer is the ops listener.
type OpsServer struct{ *httpserver.Server }

// Ops provides *OpsServer and serves /livez, /readyz, /metrics and /version on the program's ops port of loopback, until everything
// that drains has drained. It needs Program.
func Ops() fx.Option {
	return fx.Options(
		fx.Provide(func(lc fx.Lifecycle, stop fx.Shutdowner, c mesh.Config, p Program, def *mesh.Definition, h *health.Health,
			metrics prometheus.Gatherer, log *slog.Logger, now func() time.Time,
		) (*OpsServer, error) {
			self, err := def.Program(p.Name)
			if err != nil {
				return nil, err
			}
			s := httpserver.New(httpserver.Config{
				Name: "ops listener of " + p.Name, Address: loopback(self.OpsPort + c.PortOffset), Log: log, Now: now,
			}, httpserver.Ops(h, metrics, p.Version))
			Serve(lc, stop, log, s, Drain{})
			return &OpsServer{Server: s}, nil
		}),
		fx.Invoke(func(*OpsServer) {}),
	)
}

// grpcParams are what the gRPC server is made of. Ops is among them so that it stops later.
type grpcParams struct {
	fx.In

	Lifecycle     fx.Lifecycle
	Stop          fx.Shutdowner
	Config        grpcserver.Config
	Mesh          mesh.Config
	Drain         DrainConfig
	Program       Program
	Definition    *mesh.Definition
	Contract      *contract.Contract
	Verifier      *token.Verifier
	Permissions   access.Permissions `optional:"true"`
	Refusals      auditing.Refusals  `optional:"true"`
	Health        *health.Health
	Registrations []grpcserver.Registration `group:"grpc"`
	Log           *slog.Logger
	Now           func() time.Time
	Registry      prometheus.Registerer
	Tracer        trace.TracerProvider
	Propagator    propagation.TextMapPropagator
	Ops           *OpsServer
}

// GRPC provides *grpcserver.Server and serves the registrations of the group "grpc" on the program's port of loopback. It needs a
// *token.Verifier: RemoteTokens, or LocalTokens for the issuer itself; RemotePermissions where a method asks for permissions; and Outbox
// for the record of what is refused.
func GRPC() fx.Option {
	return fx.Options(fx.Provide(newGRPC), fx.Invoke(func(*grpcserver.Server) {}))
}

func newGRPC(p grpcParams) (*grpcserver.Server, error) {
	self, err := p.Definition.Program(p.Program.Name)
	if err != nil {
		return nil, err
	}
	peers, err := p.Mesh.Peers()
	if err != nil {
		return nil, err
	}
	for _, r := range p.Registrations {
		p.Health.Serves(r.Desc.ServiceName)
	}
	s, err := grpcserver.New(grpcserver.Params{
		Config: p.Config, Program: p.Program.Name, Contract: p.Contract, Mesh: peers, Callers: p.Definition, Verifier: p.Verifier,
		Permissions: p.Permissions, Refusals: p.Refusals, Health: p.Health.Server(),
		Registrations: p.Registrations, Log: p.Log, Now: p.Now, Registry: p.Registry, Tracer: p.Tracer, Propagator: p.Propagator,
	})
	if err != nil {
		return nil, err
	}
	Serve(p.Lifecycle, p.Stop, p.Log, &grpcListener{server: s, name: p.Program.Name, address: loopback(self.Port + p.Mesh.PortOffset)},
		Drain{Health: p.Health, Delay: p.Drain.Delay, Timeout: p.Drain.Timeout})
	return s, nil
}

// grpcListener is a Server that listens on one address.
type grpcListener struct {
	server        *grpcserver.Server
	name, address string
	listener      net.Listener
}

// Listen takes the port.
func (l *grpcListener) Listen() error {
	listener, err := net.Listen("tcp", l.address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: another program listens on %s already: stop it, or move all ports with GATEHOUSE_MESH_PORT_OFFSET", l.name, l.address)
	}
	if err != nil {
		return fmt.Errorf("%s: listen: %w", l.name, err)
	}
	l.listener = listener
	return nil
}

// Serve answers calls until Shutdown.
func (l *grpcListener) Serve() error { return l.server.Serve(l.listener) }

// Shutdown drains the server.
func (l *grpcListener) Shutdown(ctx context.Context) error { return l.server.Shutdown(ctx) }

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
