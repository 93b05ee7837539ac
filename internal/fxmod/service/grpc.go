package service

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
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/mesh"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/token"
)

// grpcParams are what the gRPC server is made of.
type grpcParams struct {
	fx.In

	Config        grpcserver.Config
	Mesh          mesh.Config
	Program       fxmod.Program
	Definition    *mesh.Definition
	Contract      *contract.Contract
	Verifier      *token.Verifier
	Permissions   access.Permissions `optional:"true"`
	Changes       *access.Changes    `optional:"true"`
	Refusals      auditing.Refusals  `optional:"true"`
	Health        *health.Health
	Registrations []grpcserver.Registration `group:"grpc"`
	Log           *slog.Logger
	Now           func() time.Time
	Registry      prometheus.Registerer
	Tracer        trace.TracerProvider
	Propagator    propagation.TextMapPropagator
}

// newListener makes the gRPC server of the registrations of the group "grpc", for the program's
// port of loopback.
func newListener(p grpcParams) (*Listener, error) {
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
		Permissions: p.Permissions, Changes: p.Changes, Refusals: p.Refusals, Health: p.Health,
		Registrations: p.Registrations, Log: p.Log, Now: p.Now, Registry: p.Registry, Tracer: p.Tracer, Propagator: p.Propagator,
	})
	if err != nil {
		return nil, err
	}
	return &Listener{server: s, name: p.Program.Name, address: fxmod.Loopback(self.Port + p.Mesh.PortOffset)}, nil
}

// Listener is the gRPC server of a program on its one address.
type Listener struct {
	server        *grpcserver.Server
	name, address string
	listener      net.Listener
}

// Listen takes the port.
func (l *Listener) Listen(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.address)
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
func (l *Listener) Serve() error { return l.server.Serve(l.listener) }

// Shutdown drains the server.
func (l *Listener) Shutdown(ctx context.Context) error {
	err := l.server.Shutdown(ctx)
	if l.listener != nil {
		_ = l.listener.Close() // already closed by the server, unless Serve was never called
	}
	return err
}
