// Package probe is the test service that the end-to-end tests deploy beside the platform: a fifth and a sixth program that need nothing of
// the others' code. It is wired from the same kernel modules as every service.
package probe

import (
	"context"
	"time"

	"go.uber.org/fx"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/fxmod/service"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/test/probe/consul"
	probev1 "github.com/gatehouse/gatehouse/test/probe/gen/gatehouse/probe/v1"
)

// serve is the only verb of both programs.
type serve struct {
	fxmod.Config `embed:""`
	services     []fx.Option
}

// Main is the whole of a program: its mesh name says which.
func Main(name string, services ...fx.Option) int {
	var cli struct {
		Serve serve `cmd:"" default:"withargs" help:"Serve until told to stop."`
	}
	cli.Serve.services = services
	return program.Main(name, &cli)
}

// Run serves until the process is told to stop.
func (s *serve) Run(p program.Process) error {
	return fxmod.Run(fxmod.New(
		service.Module(p.Name, s.Config),
		fx.Decorate(func(*mesh.Definition) (*mesh.Definition, error) { return consul.Definition() }),
		// No method of the probe reads a bearer token: no key is known, so none would pass.
		fx.Provide(func() token.KeySource { return noKeys{} }, func() token.Revocations { return noKeys{} }),
		fxmod.LocalTokens(),
		fx.Options(s.services...),
	))
}

// Service makes the program answer ProbeService.
func Service() fx.Option {
	return service.AsRegistration(func() grpcserver.Registration {
		return grpcserver.Registration{Desc: &probev1.ProbeService_ServiceDesc, Impl: server{}}
	})
}

type noKeys struct{}

func (noKeys) Key(context.Context, string) (token.Key, error) {
	return token.Key{}, token.ErrUnknownKey
}
func (noKeys) Revoked(string) (bool, error) { return true, nil }

type server struct {
	probev1.UnimplementedProbeServiceServer
}

func (server) Echo(ctx context.Context, _ *probev1.EchoRequest) (*probev1.EchoResponse, error) {
	return &probev1.EchoResponse{Callers: metadata.ValueFromIncomingContext(ctx, request.CallerHeader)}, nil
}

func (server) Sleep(ctx context.Context, req *probev1.SleepRequest) (*probev1.SleepResponse, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(req.GetDuration().AsDuration()):
		return &probev1.SleepResponse{}, nil
	}
}

func (server) Tick(req *probev1.TickRequest, stream grpc.ServerStreamingServer[probev1.TickResponse]) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := int32(1); n <= req.GetCount(); n++ {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-tick.C:
		}
		if err := stream.Send(&probev1.TickResponse{Number: n}); err != nil {
			return err
		}
	}
	return nil
}

func (server) Closed(context.Context, *probev1.ClosedRequest) (*probev1.ClosedResponse, error) {
	return &probev1.ClosedResponse{}, nil
}
