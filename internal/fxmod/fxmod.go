// Package fxmod wires the kernel's plain constructors into fx: one small module for each concern,
// and Base, the set that every program starts from. What only services need, a database before all,
// is in the package service below it, so that the gateway links none of it.
//
// Only wiring (cmd, internal/app) imports it, and nothing but wiring belongs into it. A module is a
// function; what it provides and needs is said at each. Value groups hold what has no order: gRPC
// services and health checks. What has an order stands in one list (InOrder).
package fxmod

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/internal/registry"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/telemetry"
	"github.com/gatehouse/gatehouse/internal/token"
)

// Config holds the options that every program has. Programs embed it (`embed:""`) beside their own.
type Config struct {
	Log       logging.Config    `embed:""`
	Telemetry telemetry.Config  `embed:""`
	Mesh      mesh.Config       `embed:""`
	Consul    registry.Config   `embed:""`
	Token     token.Config      `embed:""`
	GRPC      grpcserver.Config `embed:""`
	Drain     DrainConfig       `embed:""`
}

// Program is who the app is.
type Program struct {
	Name    string // mesh name
	Version string
}

// Base is what the gateway shares with the services: clock, log, telemetry, contract and mesh,
// health, the ops listener, connections to other programs, registration with Consul. It starts
// nothing: the program's list does (BaseParts, InOrder).
func Base(name string, c Config) fx.Option {
	return fx.Options(
		fx.Supply(Program{Name: name, Version: program.Version()}, c.Mesh, c.Consul, c.Token, c.GRPC, c.Drain),
		fx.Provide(Clock),
		Logging(c.Log),
		Telemetry(c.Telemetry),
		Mesh(),
		Health(),
		Clients(),
		Ops(),
		fx.Provide(newRegistration, newBaseParts),
	)
}

// Clock is the clock that wiring hands to everything that asks for the time.
func Clock() func() time.Time { return time.Now }

// AsOps makes a constructor of routes feed the ops listener, which every local process reaches.
func AsOps(constructor any) fx.Option {
	return fx.Provide(fx.Annotate(constructor, fx.ResultTags(`group:"ops,flatten"`)))
}

// AsCheck makes a constructor of a health.Check feed the program's health.
func AsCheck(constructor any) fx.Option {
	return fx.Provide(fx.Annotate(constructor, fx.ResultTags(`group:"health"`)))
}

// baseParams are what BaseParts are made of.
type baseParams struct {
	fx.In

	Stop         fx.Shutdowner
	Log          *slog.Logger
	Telemetry    *telemetry.Telemetry
	Conns        *client.Conns
	Health       *health.Health
	Ops          *OpsServer
	Registration Registration
}

// BaseParts are the parts of Base. Each program puts them into its list.
type BaseParts struct {
	Telemetry, Connections, Health, Ops, Registration Part
}

func newBaseParts(p baseParams) BaseParts {
	return BaseParts{
		Telemetry:    Part{Name: "telemetry", Stop: p.Telemetry.Shutdown},
		Connections:  Part{Name: "the connections to other programs", Stop: func(context.Context) error { return p.Conns.Close() }},
		Health:       Background("the health checks", p.Health.Run),
		Ops:          Serving("the ops listener", p.Ops, Drain{}, p.Stop, p.Log),
		Registration: p.Registration.Part,
	}
}
