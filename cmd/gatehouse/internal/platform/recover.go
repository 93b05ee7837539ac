package platform

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// died tells the operator that a process is being started again.
func (p *Platform) died(d supervise.Death) {
	p.opts.Progress("%s ended (%s); starting it again in %s", d.Name, d.Reason, d.Again)
	if d.Name != state.ConsulProcess {
		return
	}
	select {
	case p.consulDied <- struct{}{}:
	default: // it is known already
	}
}

// keepRegistered registers every service again when Consul was restarted, until the context ends. The agent remembers services, but
// takes all for critical and gives each sidecar a check of its own making that looks every 10 s only: the mesh would be closed for so
// long.
func (p *Platform) keepRegistered(ctx context.Context) {
	defer close(p.kept)
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.consulDied:
		}
		err := p.await(ctx, nil, "Consul", p.consulReady)
		if err == nil {
			err = each(ctx, p.services(), p.registerAgain)
		}
		if err != nil && ctx.Err() == nil {
			p.opts.Progress("the services cannot be registered again with the restarted Consul: %v", err)
		}
	}
}

// registerAgain registers a service; one that is healthy gets its traffic at once.
func (p *Platform) registerAgain(ctx context.Context, name string) error {
	ask := p.healthy
	if slices.ContainsFunc(p.opts.Definition.Backings, func(b mesh.Backing) bool { return b.Name == name }) {
		ask = p.accepts
	}
	if ask(ctx, name) != nil {
		return p.register(ctx, name) // its checks will notice when it is back
	}
	return p.admit(ctx, name)
}

// accepts finds out whether a backing service takes connections.
func (p *Platform) accepts(ctx context.Context, name string) error {
	registration, err := p.registration(name)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", registration.Check.TCP)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", name, err)
	}
	return conn.Close()
}

// consulReady reports whether the agent is its own leader and knows its ACLs and CA.
func (p *Platform) consulReady(ctx context.Context) error {
	if err := p.knowsUs(ctx); err != nil {
		return err
	}
	_, _, err := p.consul.Agent().ConnectCARoots((&api.QueryOptions{}).WithContext(ctx))
	return err
}
