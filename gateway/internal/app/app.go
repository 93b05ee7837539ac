// Package app wires the gateway: its configuration, and which constructors make the program.
// cmd/gateway runs it.
package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/gateway/internal/middleware"
	"github.com/gatehouse/gatehouse/gateway/internal/openapi"
	"github.com/gatehouse/gatehouse/gateway/internal/upstream"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/client/auth"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/rest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
	"github.com/gatehouse/gatehouse/internal/token"
	gatewayv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/gateway/v1"
)

// Program is the mesh name of the gateway.
const Program = gatewayv1.Program

// Run is the verb serve: it serves until the process is told to stop.
func (c *Config) Run() error { return fxmod.Run(fxmod.New(Module(*c))) }

// Module is everything the program consists of.
func Module(c Config) fx.Option {
	return fx.Options(
		fxmod.Base(Program, c.Kernel),
		fxmod.RemoteTokens(),
		fx.Supply(c.Edge),
		fxmod.Client(auth.Name, auth.ClientDirectory),
		fxmod.AsCheck(keysLoaded),
		fx.Provide(newREST, newOrigins, newChain, newServer),
		fx.Invoke(inOrder),
	)
}

// keysLoaded holds traffic back until the gateway can verify a token. Keys that were loaded once
// stay: that Auth is down later is the requests' 503.
func keysLoaded(keys *token.KeyCache) health.Check {
	return health.Check{Name: "keys", Func: func(context.Context) error {
		if len(keys.Set()) == 0 {
			return apierr.KeysUnavailable().Saying("no key set was loaded yet")
		}
		return nil
	}}
}

// newREST is every path of the public listener.
func newREST(c *contract.Contract, p fxmod.Program, t token.Config, h *health.Health, keys *token.KeyCache, conns *client.Conns, now func() time.Time) (*grpcserver.REST, error) {
	document, err := openapi.Build(openapi.Source{Files: openapi.Generated(), Contract: c, Version: p.Version, Issuer: t.Issuer})
	if err != nil {
		return nil, err
	}
	registers, err := upstream.Routes(c, conns)
	if err != nil {
		return nil, err
	}
	return grpcserver.NewREST(c.Methods(), map[string]http.Handler{
		"/livez":                 http.HandlerFunc(httpserver.Livez),
		"/readyz":                httpserver.Readyz(h),
		"/openapi.json":          rest.Document("application/json", document),
		"/.well-known/jwks.json": rest.KeySet(keys),
	}, now, registers...)
}

// chainParams are what the chain is made of.
type chainParams struct {
	fx.In

	Config     EdgeConfig
	REST       *grpcserver.REST
	Origins    *middleware.Origins
	Verifier   *token.Verifier
	Log        *slog.Logger
	Now        func() time.Time
	Registry   prometheus.Registerer
	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
}

// Chain is the handler of the public listener.
type Chain struct{ http.Handler }

func newChain(p chainParams) (Chain, error) {
	proxies, err := p.Config.proxies()
	if err != nil {
		return Chain{}, err
	}
	chain, err := middleware.Chain(middleware.Params{
		Log: p.Log, Registry: p.Registry, TracerProvider: p.Tracer, Propagator: p.Propagator, Now: p.Now, NewID: rand.Text,
		REST: p.REST, Verifier: p.Verifier,
		Origins: p.Origins, TrustedProxies: proxies, BodyLimit: p.Config.BodyLimit,
		PerAddress: p.Config.perAddress(), PerProgram: p.Config.oauth(), PerCredential: p.Config.credentials(), PerSubject: p.Config.perSubject(),
		Streams: p.Config.Streams, StreamsPerSubject: p.Config.StreamsPerSubject,
	})
	if err != nil {
		return Chain{}, fmt.Errorf("make the chain: %w", err)
	}
	return Chain{chain}, nil
}

// serverParams are what the public listener is made of.
type serverParams struct {
	fx.In

	Config     EdgeConfig
	Mesh       mesh.Config
	Definition *mesh.Definition
	Chain      Chain
	REST       *grpcserver.REST
	Log        *slog.Logger
	Now        func() time.Time
}

// PublicServer is the listener that clients reach.
type PublicServer struct {
	*httpserver.Server

	rest *grpcserver.REST
}

// Shutdown ends the streams, which would otherwise hold up the stop, and waits for the requests in
// flight.
func (s *PublicServer) Shutdown(ctx context.Context) error {
	s.rest.Handler.Drain()
	return s.Server.Shutdown(ctx)
}

func newServer(p serverParams) (*PublicServer, error) {
	self, err := p.Definition.Program(Program)
	if err != nil {
		return nil, err
	}
	certificates, err := p.Config.tls(p.Log, p.Now)
	if err != nil {
		return nil, err
	}
	return &PublicServer{rest: p.REST, Server: httpserver.New(httpserver.Config{
		Name: "public listener of " + Program, Address: p.Config.address(self, p.Mesh.PortOffset), TLS: certificates, Log: p.Log, Now: p.Now,
	}, p.Chain)}, nil
}
