// Package platform brings up the whole of Gatehouse on one machine from the mesh definition, keeps it running and stops it.
//
//	PostgreSQL ─► roles ──────────────────────────────┐
//	Consul ─► tokens ─► config entries ─► services ─► sidecars ─► migrations ─► programs ─► healthy
//
// Only commands of the CLI import it: `up`, and those that look at what it started.
package platform

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/preflight"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// Stages of the stop: programs first, what they need last.
const (
	stagePostgres = iota + 1
	stageConsul
	stageSidecars
	stagePrograms
)

// stopTimeout bounds the whole stop.
const stopTimeout = 25 * time.Second

// Options say what to bring up and where.
type Options struct {
	Dir         state.Dir
	Definition  *mesh.Definition
	Mesh        string // folder the definition was read from; empty for the built-in one
	Offset      int
	Prefix      request.ServicePrefix // of the services in Consul
	Scale       mesh.Scale
	Programs    preflight.Programs
	Gateway     Gateway
	PostgresURL string   // superuser of the operator's own server; empty to run one
	Adopt       string   // platform whose database on that server becomes this one's
	Environ     []string // of the operator: settings in it reach the programs
	Now         func() time.Time
	Progress    func(format string, args ...any) // one line each
}

// Platform is a running platform. Close stops it.
type Platform struct {
	opts   Options
	plan   *plan.Plan
	group  *supervise.Group
	consul *api.Client // with the management token
	tokens map[string]string
	logged map[string]int64 // bytes of each log that were there before us

	seats      seats
	unwatch    func()      // ends the renewal of files that were handed over
	registered atomic.Bool // that the services were; tokens does not change any more then

	mu     sync.Mutex
	record state.Record
}

// Up brings everything up and returns when all of it is healthy. On an error nothing is left running.
func Up(ctx context.Context, opts Options) (*Platform, error) {
	p := &Platform{opts: opts, plan: plan.Of(opts.Definition), logged: logSizes(opts.Dir.Logs())}
	supervisor, err := supervise.Identify(selfPID())
	if err != nil {
		return nil, err
	}
	p.record = state.Record{
		Supervisor: supervisor, Offset: opts.Offset, ServicePrefix: opts.Prefix, Scale: opts.Scale, Mesh: opts.Mesh, External: opts.PostgresURL != "",
		Consul: p.address(mesh.ConsulHTTPSPort), Gateway: opts.Gateway.URL, REST: answersREST(opts.Environ),
	}
	if err := opts.Dir.Write(p.record); err != nil {
		return nil, err
	}
	if err := p.seats.assign(opts.Dir, opts.Offset, p.seated()); err != nil {
		return nil, errors.Join(err, opts.Dir.Forget())
	}
	p.unwatch = background(p.seats.keepFresh)
	p.group = supervise.New(supervise.Options{Now: opts.Now, Changed: p.changed, Died: p.died})
	if err := p.bringUp(ctx); err != nil {
		p.Close()
		return nil, err
	}
	p.update(func(r *state.Record) { r.Healthy = true })
	return p, nil
}

func (p *Platform) bringUp(ctx context.Context) error {
	both, groupCtx := errgroup.WithContext(ctx)
	both.Go(func() error { return p.startPostgres(groupCtx) })
	both.Go(func() error {
		for _, step := range []func(context.Context) error{p.startConsul, p.readTrustDomain, p.writeTokens, p.writeEntries, p.writeAccessLogs, p.registerServices, p.startSidecars} {
			if err := step(groupCtx); err != nil {
				return err
			}
		}
		return nil
	})
	if err := both.Wait(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{p.admitBackings, p.migrate, p.serve, p.keep, p.awaitMesh} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close stops everything in order and forgets the record.
func (p *Platform) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	p.group.Close(ctx)
	p.unwatch()
	p.seats.remove()
	if err := p.opts.Dir.Forget(); err != nil {
		p.opts.Progress("%v", err)
	}
}

// background runs work until the returned function is called, which waits for its end.
func background(work func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// changed keeps the record of what runs, so that the next `up` finds what a killed one left.
func (p *Platform) changed(running []supervise.Running) {
	p.update(func(r *state.Record) {
		r.Processes = r.Processes[:0]
		for _, one := range running {
			r.Processes = append(r.Processes, state.Process{Name: one.Name, Identity: one.Identity})
		}
	})
}

func (p *Platform) update(change func(*state.Record)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.record)
	if err := p.opts.Dir.Write(p.record); err != nil {
		p.opts.Progress("%v", err)
	}
}

// address is a loopback address of this platform.
func (p *Platform) address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+p.opts.Offset) }

// services are the names of all programs and backing services.
func (p *Platform) services() []string {
	var names []string
	for _, program := range p.plan.Programs {
		names = append(names, program.Name)
	}
	for _, backing := range p.opts.Definition.Backings {
		names = append(names, backing.Name)
	}
	return names
}

// each runs a step for all at once.
func each[T any](ctx context.Context, all []T, step func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, one := range all {
		group.Go(func() error { return step(ctx, one) })
	}
	return group.Wait()
}

// took reports a finished step with its duration.
func (p *Platform) took(begun time.Time, format string, args ...any) {
	p.opts.Progress("%s (%.1f s)", fmt.Sprintf(format, args...), p.opts.Now().Sub(begun).Seconds())
}
