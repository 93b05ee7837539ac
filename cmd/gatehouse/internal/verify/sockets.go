package verify

import (
	"context"
	"fmt"

	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
)

// sockets are those of the entered allocations that others can reach and that no job declares, a
// sentence each (R76): a neighbour on the host's bridge reaches every port of an allocation that is
// not on loopback.
func (n *Nomad) sockets(ctx context.Context, g *ground) []string {
	open := []string{}
	if n == nil || n.Client == nil {
		if len(g.entered) > 0 {
			g.untried = append(g.untried, "the sockets of allocations: NOMAD_ADDR is not set, and Nomad knows which ports are declared")
		}
		return open
	}
	for _, one := range g.entered {
		declared, err := n.ports(ctx, one.allocation)
		var found []host.Listener
		if err == nil {
			found, err = host.ListenersAround(one.pid)
		}
		if err != nil {
			g.untried = append(g.untried, fmt.Sprintf("the sockets of %s: %v", one.name, err))
			continue
		}
		g.looked++
		open = append(open, undeclared(one.name, found, declared)...)
	}
	return open
}

// ports are those inside of an allocation's network to which something leads from outside.
func (n *Nomad) ports(ctx context.Context, allocation string) (map[int]bool, error) {
	a, _, err := n.Client.Allocations().Info(allocation, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("ask Nomad for the allocation %s: %w", allocation, err)
	}
	ports := map[int]bool{}
	if a.AllocatedResources == nil {
		return ports, nil
	}
	for _, p := range a.AllocatedResources.Shared.Ports {
		if p.To > 0 {
			ports[p.To] = true
		} else {
			ports[p.Value] = true
		}
	}
	return ports, nil
}

func undeclared(name string, found []host.Listener, declared map[int]bool) []string {
	var all []string
	for _, socket := range found {
		if socket.Address.Addr().IsLoopback() || socket.Network == "tcp" && declared[int(socket.Address.Port())] {
			continue
		}
		all = append(all, fmt.Sprintf("in the allocation of %s somebody listens on %s %s, which its job does not declare: let it listen on 127.0.0.1", name, socket.Network, socket.Address))
	}
	return all
}
