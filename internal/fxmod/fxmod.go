// Package fxmod wires the kernel's plain constructors into fx: one small module for each concern, and the two sets that programs start
// from, Service and Base.
//
// Only wiring (cmd, internal/app) imports it, and nothing but wiring belongs into it. A module is a function; what it provides and needs
// is said at each. Value groups hold what has no order: gRPC services and health checks.
package fxmod

import (
	"time"

	"go.uber.org/fx"

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

// Service is everything a gRPC service needs but its database, its tokens and its own code. List it last: what is listed before it has
// started when it begins to serve, and stops after it has drained.
func Service(name string, c Config) fx.Option {
	return fx.Options(Base(name, c), GRPC())
}

// Base is what the gateway shares with the services: clock, log, telemetry, contract and mesh, health, the ops listener, connections
// to other programs, registration with Consul.
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
		Registration(),
	)
}

// Clock is the clock that wiring hands to everything that asks for the time.
func Clock() func() time.Time { return time.Now }

// AsRegistration makes a constructor of a grpcserver.Registration feed the gRPC server.
func AsRegistration(constructor any) fx.Option {
	return fx.Provide(fx.Annotate(constructor, fx.ResultTags(`group:"grpc"`)))
}

// AsCheck makes a constructor of a health.Check feed the program's health.
func AsCheck(constructor any) fx.Option {
	return fx.Provide(fx.Annotate(constructor, fx.ResultTags(`group:"health"`)))
}
