package platform

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// died tells the operator that a process is being started again.
func (p *Platform) died(d supervise.Death) {
	p.opts.Progress("%s ended (%s); starting it again in %s", d.Name, d.Reason, d.Again)
}

// lookBrief bounds how long the restart of Consul waits for a service that hangs.
const lookBrief = time.Second

// writeKnownServices writes what a restarted Consul begins with: every service in the state it is in. Of what it was told over the API
// it would remember the services, but take all for critical until it has looked again: sidecars, which ask it at once, would drop every
// endpoint, healthy as it is. Before the services were registered for the first time there are none, and their checks decide.
func (p *Platform) writeKnownServices(ctx context.Context) error {
	known := []agent.Service{}
	if p.registered.Load() {
		var mu sync.Mutex
		err := each(ctx, p.units(), func(ctx context.Context, u unit) error {
			registration, err := p.registration(u)
			if err != nil {
				return err
			}
			setStatus(registration, p.look(ctx, u, registration))
			mu.Lock()
			defer mu.Unlock()
			known = append(known, agent.Service{Registration: registration, Token: p.tokens[u.name]})
			return nil
		})
		if err != nil {
			return err
		}
	}
	raw, err := agent.Services(known)
	if err != nil {
		return err
	}
	return p.opts.Dir.WriteSecret(agentServices, string(raw))
}

// look is the health of a service now, as Consul's checks would find it: its own and that its sidecar listens.
func (p *Platform) look(ctx context.Context, u unit, registration *api.AgentServiceRegistration) string {
	ctx, cancel := context.WithTimeout(ctx, lookBrief)
	defer cancel()
	ask := p.healthy
	if u.backing {
		ask = func(ctx context.Context, _ unit) error { return accepts(ctx, registration.Check.TCP) }
	}
	sidecar := registration.Connect.SidecarService
	if ask(ctx, u) != nil || accepts(ctx, fmt.Sprintf("%s:%d", sidecar.Address, sidecar.Port)) != nil {
		return api.HealthCritical // its checks will notice when it is back
	}
	return api.HealthPassing
}

// accepts finds out whether somebody takes connections.
func accepts(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", address, err)
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
