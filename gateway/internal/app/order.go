package app

import (
	"log/slog"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/gateway/internal/middleware"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/health"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// orderParams are what starts and stops.
type orderParams struct {
	fx.In

	Lifecycle fx.Lifecycle
	Stop      fx.Shutdowner
	Log       *slog.Logger
	Base      fxmod.BaseParts
	Ops       *fxmod.OpsServer
	Tokens    fxmod.Tokens
	Pages     *middleware.Origins
	Clients   authv1.ClientDirectoryServiceClient
	Health    *health.Health
	Server    *PublicServer
	Drain     fxmod.DrainConfig
}

// inOrder is what starts when the gateway starts, from the top, and stops when it stops, from the
// bottom.
func inOrder(p orderParams) {
	drain := fxmod.Drain{Health: p.Health, Delay: p.Drain.Delay, Timeout: p.Drain.Timeout}
	fxmod.InOrder(p.Lifecycle,
		fxmod.Parts{
			fxmod.Ports(p.Ops, p.Server), // first: a taken port ends the start before anything has begun
			p.Base.Telemetry,             // stops last: what the others do on their way out is traced too
			p.Base.Connections,           // before everything that calls services, which ends its calls first
		},
		fxmod.Parts(p.Tokens), // before health, which waits for the keys
		fxmod.Parts{
			fxmod.Repeat(followOrigins(p.Pages, p.Clients), p.Log), // its place is free: the configured origins hold until it has read
			p.Base.Health,       // after what it looks at: the first look finds that started
			p.Base.Ops,          // after health, which it answers with; it stops once requests have drained
			p.Base.Registration, // the program can be found from here on; Consul sends nobody before its check passes
			fxmod.Serving("the public listener", p.Server, drain, p.Stop, p.Log), // last: it serves when everything else runs, and drains first
		},
	)
}
