package fxmod

import (
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// Mesh provides *contract.Contract, from the protos that are linked, and *mesh.Definition, as
// generated, with the ports of this instance of the program. It needs Program and mesh.Config.
func Mesh() fx.Option {
	return fx.Provide(
		func() (*contract.Contract, error) { return contract.Load(protoregistry.GlobalFiles) },
		func(c mesh.Config, p Program) (*mesh.Definition, error) {
			def, err := consul.Definition()
			if err != nil {
				return nil, err
			}
			return def.Local(p.Name, c.Instance)
		},
	)
}

// Registration is the part that keeps the program and its sidecar registered with Consul. It does
// nothing unless registry.Config says so.
type Registration struct{ Part }

func newRegistration(c registry.Config, m mesh.Config, p Program, def *mesh.Definition, log *slog.Logger) (Registration, error) {
	if !c.Register {
		return Registration{}, nil
	}
	registration, err := registry.Registration(def, p.Name, m)
	if err != nil {
		return Registration{}, err
	}
	agent, err := registry.NewClient(c.Agent(m.PortOffset), c)
	if err != nil {
		return Registration{}, err
	}
	return Registration{Background("the registration with Consul", registry.NewRegistrar(agent, registration, log).Run)}, nil
}

// clientParams are what connections to other programs are made with.
type clientParams struct {
	fx.In

	Mesh       mesh.Config
	Program    Program
	Definition *mesh.Definition
	Contract   *contract.Contract
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
	Metrics    *client.Metrics
}

// Clients provides *client.Conns, and *client.Metrics of the calls through them. It needs Program.
func Clients() fx.Option {
	return fx.Provide(client.NewMetrics, func(p clientParams) *client.Conns {
		return client.NewConns(p.Definition, p.Mesh.PortOffset, p.Program.Name, client.Options{
			Contract: p.Contract, Tracer: p.Tracer, Propagator: p.Propagator, Metrics: p.Metrics,
		})
	})
}

// Client provides the typed client of an upstream, such as Client("auth",
// authv1.NewLoginServiceClient). The program's proto must declare the calls.
func Client[T any](upstream string, typed func(grpc.ClientConnInterface) T) fx.Option {
	return fx.Provide(func(conns *client.Conns) (T, error) {
		conn, err := conns.Conn(upstream)
		if err != nil {
			var none T
			return none, fmt.Errorf("client of %s: %w", upstream, err)
		}
		return typed(conn), nil
	})
}
