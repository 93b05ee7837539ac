package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// migrate brings the schemas of every program that has a database to the newest version, through
// the mesh.
func (p *Platform) migrate(ctx context.Context) error {
	begun := p.opts.Now()
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	err := each(ctx, p.processes(plan.Migrate), func(ctx context.Context, one process) error {
		err := p.group.Run(ctx, supervise.Spec{
			Name: one.id(), Log: p.opts.Dir.Log(one.id()),
			Command: func() (*exec.Cmd, error) { return p.program(one) },
		})
		if err != nil {
			return p.explain(one.id(), fmt.Errorf("migrate the database of %s: %w", one.Program, err))
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.took(begun, "database schemas are up to date")
	return nil
}

// serve starts every program, waits until each says that it is healthy, and says so in Consul.
func (p *Platform) serve(ctx context.Context) error {
	begun := p.opts.Now()
	serving := p.processes(plan.Serve)
	err := each(ctx, serving, func(ctx context.Context, one process) error {
		running := p.group.Start(supervise.Spec{
			Name: one.id(), Stage: stagePrograms, Log: p.opts.Dir.Log(one.id()),
			Command: func() (*exec.Cmd, error) { return p.program(one) },
		})
		healthy := func(ctx context.Context) error { return p.healthy(ctx, one.of) }
		if err := p.await(ctx, running, one.id(), healthy); err != nil {
			return err
		}
		return p.admit(ctx, one.of)
	})
	if err != nil {
		return err
	}
	ids := make([]string, len(serving))
	for i, one := range serving {
		ids[i] = one.id()
	}
	p.took(begun, "%s serve", strings.Join(ids, ", "))
	return nil
}

// keep starts what does the daily work of the owners of schemas, beside the programs that serve.
// Nothing waits for it.
func (p *Platform) keep(context.Context) error {
	for _, one := range p.processes(plan.Keep) {
		p.group.Start(supervise.Spec{
			Name: one.id(), Stage: stagePrograms, Log: p.opts.Dir.Log(one.id()),
			Command: func() (*exec.Cmd, error) { return p.program(one) },
		})
	}
	return nil
}

// healthy asks an instance itself.
func (p *Platform) healthy(ctx context.Context, u unit) error {
	address := p.address(u.health.Port)
	if u.health.Path != "" {
		return getOK(ctx, "http://"+address+u.health.Path)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", u.id, err)
	}
	defer func() { _ = conn.Close() }()
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return fmt.Errorf("ask %s for its health: %w", u.id, err)
	}
	if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return errors.New("its health is " + answer.GetStatus().String())
	}
	return nil
}

// program is the command of a process, in a closed environment.
func (p *Platform) program(one process) (*exec.Cmd, error) {
	environ, err := p.environ(one)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.opts.Programs.Own[one.Program], one.Verb) //nolint:noctx // supervise ends it, in order
	cmd.Env = environ
	cmd.Dir = p.opts.Dir.Root()
	if err := p.seats.take(cmd, one.id()); err != nil {
		discard(cmd)
		return nil, err
	}
	if err := p.seats.handVariables(cmd, one.id(), p.opts.Dir.Root(), p.opts.Environ); err != nil {
		discard(cmd)
		return nil, err
	}
	if cmd.SysProcAttr != nil && p.listensLow(one.Program) {
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_BIND_SERVICE}
	}
	return cmd, nil
}

// unprivilegedPorts begin here.
const unprivilegedPorts = 1024

// listensLow reports whether a program is the edge and listens on a port that only root may.
func (p *Platform) listensLow(name string) bool {
	program, err := p.opts.Definition.Program(name)
	if err != nil || !program.Edge {
		return false
	}
	_, text, err := net.SplitHostPort(p.opts.Gateway.Address)
	if err != nil {
		return false
	}
	port, err := net.LookupPort("tcp", text) //nolint:noctx // asks no server: it may be a name, as in :https
	return err == nil && port > 0 && port < unprivilegedPorts
}
