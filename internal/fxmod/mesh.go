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

// Mesh provides *contract.Contract, from the protos that are linked, and *mesh.Definition, as generated.
func Mesh() fx.Option {
	return fx.Provide(
		func() (*contract.Contract, error) { return contract.Load(protoregistry.GlobalFiles) },
		consul.Definition,
	)
}

// Registration registers the program and its sidecar with Consul while it runs, if registry.Config says so. It needs Program.
func Registration() fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle, c registry.Config, m mesh.Config, p Program, def *mesh.Definition, log *slog.Logger) error {
		if !c.Register {
			return nil
		}
		registration, err := registry.Registration(def, p.Name, m.PortOffset)
		if err != nil {
			return err
		}
		agent, err := registry.NewClient(c.Agent(m.PortOffset), c)
		if err != nil {
			return err
		}
		Background(lc, registry.NewRegistrar(agent, registration, log).Run)
		return nil
	})
}

// Clients provides *client.Conns. It needs Program.
func Clients() fx.Option {
	return fx.Provide(func(lc fx.Lifecycle, c mesh.Config, p Program, def *mesh.Definition, contracts *contract.Contract,
		tracer trace.TracerProvider, propagator propagation.TextMapPropagator,
	) *client.Conns {
		conns := client.NewConns(def, c.PortOffset, p.Name, client.Options{Contract: contracts, Tracer: tracer, Propagator: propagator})
		lc.Append(fx.StopHook(conns.Close))
		return conns
	})
}

// Client provides the typed client of an upstream, such as Client("auth", authv1.NewLoginServiceClient). The program's proto must
// declare the calls.
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
