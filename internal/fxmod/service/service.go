// Package service is what the gRPC services have in common beyond fxmod.Base: the server, the
// database, the outbox, and what they ask of other programs or hand over to them.
//
// Only the wiring of services imports it. The gateway does not: it would link the database's
// driver.
package service

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/outbox"
)

// Work is what a service runs beside its requests, each list in the order in which it starts. A
// service provides one, or none.
type Work struct {
	Receiving fxmod.Parts // what the outbox hands over to in this program: it ends after the relay
	Beside    fxmod.Parts // what may append to the outbox: it ends before the relay
}

// Module is everything a gRPC service needs but its database, its tokens and its own code. It needs
// a *token.Verifier: fxmod.RemoteTokens, or fxmod.LocalTokens for the issuer itself;
// RemotePermissions where a method asks for permissions; and Outbox for the record of what is
// refused.
func Module(name string, c fxmod.Config) fx.Option {
	return fx.Options(fxmod.Base(name, c), fx.Provide(newListener, newDoor), fx.Invoke(inOrder))
}

// AsRegistration makes a constructor of a grpcserver.Registration feed the gRPC server.
func AsRegistration(constructor any) fx.Option {
	return fx.Provide(fx.Annotate(constructor, fx.ResultTags(`group:"grpc"`)))
}

// orderParams are what starts and stops.
type orderParams struct {
	fx.In

	Lifecycle fx.Lifecycle
	Stop      fx.Shutdowner
	Log       *slog.Logger
	Base      fxmod.BaseParts
	Ops       *fxmod.OpsServer
	Pool      *pgxpool.Pool `optional:"true"`
	Relay     *outbox.Relay `optional:"true"`
	Work      Work          `optional:"true"`
	Tokens    fxmod.Tokens
	Changes   authz.ChangeFeed `optional:"true"`
	Health    *health.Health
	Listener  *Listener
	Door      *Door
	Drain     fxmod.DrainConfig
}

// inOrder is what starts when a service starts, from the top, and stops when it stops, from the
// bottom.
func inOrder(p orderParams) {
	drain := fxmod.Drain{Health: p.Health, Delay: p.Drain.Delay, Timeout: p.Drain.Timeout}
	fxmod.InOrder(p.Lifecycle,
		fxmod.Parts{
			fxmod.Ports(ports(p.Ops, p.Listener, p.Door)...), // first: a taken port ends the start before anything has begun
			p.Base.Telemetry,   // stops last: what the others do on their way out is traced too
			p.Base.Connections, // before everything that calls other programs, which ends its calls first
			pool(p.Pool),       // before everything that asks the database
		},
		p.Work.Receiving,            // before the relay, which may deliver to it
		fxmod.Parts{relay(p.Relay)}, // before what appends: the last of it can still be delivered
		p.Work.Beside,               // before requests, which may need what it loads
		fxmod.Parts(p.Tokens),       // before requests: the first ones need keys
		fxmod.Parts{
			changes(p.Changes),          // its place is free: streams ask more often without it
			p.Base.Health,               // after what it looks at: the first look finds that started
			p.Base.Ops,                  // after health, which it answers with; it stops once requests have drained
			p.Base.Registration,         // the program can be found from here on; Consul sends nobody before its check passes
			p.Door.serve(p.Stop, p.Log), // before the gRPC server, which ends its calls first: the drain is one for both
			fxmod.Serving("the gRPC server", p.Listener, drain, p.Stop, p.Log), // last: it serves when everything else runs, and drains first
		},
	)
}

func pool(p *pgxpool.Pool) fxmod.Part {
	if p == nil {
		return fxmod.Part{}
	}
	return fxmod.Part{Name: "the database's connections", Stop: func(context.Context) error {
		p.Close()
		return nil
	}}
}

func relay(r *outbox.Relay) fxmod.Part {
	if r == nil {
		return fxmod.Part{}
	}
	return fxmod.Background("the outbox relay", r.Run)
}

func changes(feed authz.ChangeFeed) fxmod.Part {
	if feed == nil {
		return fxmod.Part{}
	}
	return fxmod.Background("the feed of changed permissions", feed)
}
