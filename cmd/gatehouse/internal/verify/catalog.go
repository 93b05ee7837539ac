package verify

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

// instances looks for the sidecars of all that are healthy, and says of the others why they are not
// asked. Consul's health endpoint knows the connect-capable ones.
func (c *Cluster) instances(ctx context.Context, def *mesh.Definition) (all []instance, untried []string, err error) {
	for _, program := range callers(def) {
		service := c.Prefix.Service(program)
		found, _, err := c.Consul.Health().Connect(service, "", false, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
		if err != nil {
			return nil, nil, fmt.Errorf("look for %s in Consul's catalog: %w", service, err)
		}
		if len(found) == 0 {
			untried = append(untried, fmt.Sprintf("calls to %s and by its sidecar: Consul knows no instance of %s", program, service))
		}
		for _, e := range found {
			one := instance{
				program: program, name: nameOf(program, e, len(found)), id: idOf(e), node: e.Node.Node,
				public: net.JoinHostPort(cmp.Or(e.Service.Address, e.Node.Address), strconv.Itoa(e.Service.Port)),
			}
			if state := e.Checks.AggregatedStatus(); state != api.HealthPassing {
				untried = append(untried, fmt.Sprintf("calls to %s on %s: its health is %s", one.name, one.node, state))
				continue
			}
			all = append(all, one)
		}
	}
	return all, untried, nil
}

// meanwhile looks at the catalog again: in a roll, instances end and others come.
func (c *Cluster) meanwhile(ctx context.Context, def *mesh.Definition, g *ground) (ended, untried []string, err error) {
	now, _, err := c.instances(ctx, def)
	if err != nil {
		return nil, nil, err
	}
	among := func(all []instance) func(instance) bool {
		return func(one instance) bool {
			return slices.ContainsFunc(all, func(other instance) bool { return other.id == one.id && other.node == one.node })
		}
	}
	for _, one := range slices.DeleteFunc(slices.Clone(g.callees), among(now)) {
		ended = append(ended, one.name)
	}
	for _, one := range slices.DeleteFunc(now, among(g.callees)) {
		untried = append(untried, fmt.Sprintf("calls to %s on %s: it was not there yet when this began", one.name, one.node))
	}
	return ended, untried, nil
}

// allocation finds Nomad's allocation in the id of a service that it has registered.
var allocation = regexp.MustCompile(`^_nomad-task-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-`)

func allocationOf(id string) string {
	if found := allocation.FindStringSubmatch(id); found != nil {
		return found[1]
	}
	return ""
}

// nameOf is short and tells the instances of a program apart.
func nameOf(program string, e *api.ServiceEntry, of int) string {
	if of == 1 {
		return program
	}
	return fmt.Sprintf("%s@%s/%s", program, e.Node.Node, shorten(cmp.Or(allocationOf(e.Service.ID), e.Service.ID)))
}

func shorten(id string) string { return id[:min(len(id), 8)] }

// idOf is the id of the service that a sidecar is of.
func idOf(e *api.ServiceEntry) string {
	if e.Service.Proxy != nil && e.Service.Proxy.DestinationServiceID != "" {
		return e.Service.Proxy.DestinationServiceID
	}
	return e.Service.ID
}
