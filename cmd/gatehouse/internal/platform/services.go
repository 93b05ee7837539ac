package platform

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// registerServices tells the agent of every service and its sidecar, and takes away what an earlier definition had.
func (p *Platform) registerServices(ctx context.Context) error {
	known, err := p.consul.Agent().ServicesWithFilterOpts("", (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("list the agent's services: %w", err)
	}
	units := p.units()
	for id, service := range known {
		ours := slices.ContainsFunc(units, func(u unit) bool { return p.opts.Prefix.Service(u.id) == id })
		if service.Kind != api.ServiceKindConnectProxy && !ours {
			if err := p.consul.Agent().ServiceDeregisterOpts(id, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
				return fmt.Errorf("deregister %s: %w", id, err)
			}
		}
	}
	err = each(ctx, units, func(ctx context.Context, u unit) error { return p.registerAs(ctx, u, api.HealthCritical) })
	p.registered.Store(err == nil)
	return err
}

// admit tells the agent that a service was just seen healthy. Its checks begin anew as passing: Consul's own next look may be two
// seconds away, and the state that a check is in outlives a registration, so the old checks go first. Only what is not yet in use may
// be admitted.
func (p *Platform) admit(ctx context.Context, u unit) error {
	registration, err := p.registration(u)
	if err != nil {
		return err
	}
	own, err := p.client(p.tokens[u.name])
	if err != nil {
		return err
	}
	for _, check := range checksOf(registration) {
		err := own.Agent().CheckDeregisterOpts(check.CheckID, (&api.QueryOptions{}).WithContext(ctx))
		if status, ok := asStatus(err); err != nil && (!ok || status.Code != http.StatusNotFound) {
			return fmt.Errorf("renew the check %s: %w", check.CheckID, err)
		}
	}
	return p.registerAs(ctx, u, api.HealthPassing)
}

// registerAs tells the agent of one service. Checks that it has already keep the state they are in; others begin with the status.
func (p *Platform) registerAs(ctx context.Context, u unit, status string) error {
	registration, err := p.registration(u)
	if err != nil {
		return err
	}
	setStatus(registration, status)
	own, err := p.client(p.tokens[u.name])
	if err != nil {
		return err
	}
	opts := api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx)
	if err := own.Agent().ServiceRegisterOpts(registration, opts); err != nil {
		return fmt.Errorf("register %s with Consul: %w", u.id, err)
	}
	return nil
}

// setStatus says what all checks begin with.
func setStatus(r *api.AgentServiceRegistration, status string) {
	for _, check := range checksOf(r) {
		check.Status = status
	}
}

// checksOf are the checks of a service and of its sidecar.
func checksOf(r *api.AgentServiceRegistration) []*api.AgentServiceCheck {
	var all []*api.AgentServiceCheck
	if r.Check != nil {
		all = append(all, r.Check)
	}
	all = append(all, r.Checks...)
	return append(all, r.Connect.SidecarService.Checks...)
}

func (p *Platform) registration(u unit) (*api.AgentServiceRegistration, error) {
	where := mesh.Config{PortOffset: p.opts.Offset, ServicePrefix: p.opts.Prefix, Instance: u.number}
	if !u.backing {
		local, err := p.opts.Definition.Local(u.name, u.number)
		if err != nil {
			return nil, err
		}
		return registry.Registration(local, u.name, where)
	}
	registration, err := registry.BackingRegistration(p.opts.Definition, u.name, where)
	if err != nil || p.opts.PostgresURL == "" || u.name != mesh.Postgres {
		return registration, err
	}
	return registration, toOperatorsDatabase(registration, p.opts.PostgresURL)
}

// toOperatorsDatabase points the database's sidecar at a server that the platform does not run.
func toOperatorsDatabase(r *api.AgentServiceRegistration, rawURL string) error {
	host, port, err := databaseAddress(rawURL)
	if err != nil {
		return err
	}
	r.Address, r.Port = host, port
	r.Check.TCP = net.JoinHostPort(host, strconv.Itoa(port))
	proxy := r.Connect.SidecarService.Proxy
	proxy.LocalServiceAddress, proxy.LocalServicePort = host, port
	return nil
}

// databaseAddress is the host and port of a PostgreSQL URL. The sidecar wants an address, so a name is looked up once.
func databaseAddress(rawURL string) (host string, port int, err error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" {
		return "", 0, fmt.Errorf("GATEHOUSE_POSTGRES_URL is not a URL with a host: write postgres://superuser:password@host:5432/postgres")
	}
	port = 5432
	if text := u.Port(); text != "" {
		if port, err = strconv.Atoi(text); err != nil {
			return "", 0, fmt.Errorf("GATEHOUSE_POSTGRES_URL has no usable port: write postgres://superuser:password@host:5432/postgres")
		}
	}
	address, err := net.ResolveIPAddr("ip", u.Hostname())
	if err != nil {
		return "", 0, fmt.Errorf("the database host %s of GATEHOUSE_POSTGRES_URL is unknown: correct it: %w", u.Hostname(), err)
	}
	return address.String(), port, nil
}
