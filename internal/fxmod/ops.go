package fxmod

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/mesh"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
)

// healthParams are the checks of the group "health".
type healthParams struct {
	fx.In

	Log    *slog.Logger
	Checks []health.Check `group:"health"`
}

// Health provides *health.Health.
func Health() fx.Option {
	return fx.Provide(func(p healthParams) *health.Health { return health.New(p.Log, p.Checks...) })
}

// OpsServer is the ops listener.
type OpsServer struct{ *httpserver.Server }

// opsParams are what the ops listener is made of.
type opsParams struct {
	fx.In

	Mesh       mesh.Config
	Program    Program
	Definition *mesh.Definition
	Health     *health.Health
	Metrics    prometheus.Gatherer
	Log        *slog.Logger
	Now        func() time.Time
	More       []httpserver.Route `group:"ops"`
}

// Ops provides *OpsServer: /livez, /readyz, /metrics and /version on the program's ops port of
// loopback, and what the program tells besides (AsOps). It needs Program.
func Ops() fx.Option {
	return fx.Provide(func(p opsParams) (*OpsServer, error) {
		self, err := p.Definition.Program(p.Program.Name)
		if err != nil {
			return nil, err
		}
		return &OpsServer{Server: httpserver.New(httpserver.Config{
			Name: "ops listener of " + p.Program.Name, Address: Loopback(self.OpsPort + p.Mesh.PortOffset), Log: p.Log, Now: p.Now,
		}, httpserver.Ops(p.Health, p.Metrics, p.Program.Version, p.More...))}, nil
	})
}

// Loopback is the address of a port on which only this machine, or this network namespace, calls.
func Loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
