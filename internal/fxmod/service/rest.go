package service

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"go.uber.org/fx"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/mesh"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
)

// doorParams are what the REST door is made of.
type doorParams struct {
	fx.In

	Config        grpcserver.Config
	Mesh          mesh.Config
	Program       fxmod.Program
	Definition    *mesh.Definition
	Contract      *contract.Contract
	Registrations []grpcserver.Registration `group:"grpc"`
	Listener      *Listener
	Log           *slog.Logger
	Now           func() time.Time
}

// newDoor makes the REST door of the service, for its port of loopback; nil when it is off or no
// method has a route. A registration without the handlers that a door needs is an error either way:
// it would be found only where the door is on.
func newDoor(p doorParams) (*Door, error) {
	if err := grpcserver.CheckREST(p.Contract, p.Registrations); err != nil {
		return nil, err
	}
	self, err := p.Definition.Program(p.Program.Name)
	if err != nil {
		return nil, err
	}
	if !p.Config.REST || self.RESTPort == 0 {
		return nil, nil
	}
	door, err := p.Listener.server.NewDoor(rand.Text)
	if err != nil {
		return nil, err
	}
	return &Door{door: door, Server: httpserver.New(httpserver.Config{
		Name: "REST door of " + p.Program.Name, Address: fxmod.Loopback(self.RESTPort + p.Mesh.PortOffset), Log: p.Log, Now: p.Now,
	}, door)}, nil
}

// Door is REST at the service itself; nil when it is off.
type Door struct {
	*httpserver.Server

	door *grpcserver.Door
}

// Listen takes the port.
func (d *Door) Listen(ctx context.Context) error {
	if err := d.Server.Listen(ctx); err != nil {
		_ = d.door.Close() // nobody will serve it
		return err
	}
	return nil
}

// Serve answers requests, and their calls, until Shutdown.
func (d *Door) Serve() error {
	var both errgroup.Group
	both.Go(d.door.Serve)
	both.Go(func() error {
		err := d.Server.Serve()
		if err != nil {
			_ = d.door.Close() // or the other would go on
		}
		return err
	})
	return both.Wait()
}

// Shutdown ends the streams, waits for the requests in flight and then ends their way to the
// server.
func (d *Door) Shutdown(ctx context.Context) error {
	d.door.Drain()
	return errors.Join(d.Server.Shutdown(ctx), d.door.Close())
}

// ports are the servers of a service that take one.
func ports(ops *fxmod.OpsServer, grpc *Listener, door *Door) []fxmod.Server {
	servers := []fxmod.Server{ops, grpc}
	if door != nil {
		servers = append(servers, door)
	}
	return servers
}

// serve is the part of the door.
func (d *Door) serve(stop fx.Shutdowner, log *slog.Logger) fxmod.Part {
	if d == nil {
		return fxmod.Part{}
	}
	return fxmod.Serving("the REST door", d, fxmod.Drain{}, stop, log)
}
