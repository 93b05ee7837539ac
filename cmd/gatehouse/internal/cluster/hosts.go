package cluster

import (
	"context"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster/host"
)

// nomadPort is that of Nomad's API.
const nomadPort = 4646

// startSite makes the namespace of the switch, in which the balancer runs, and connects this machine.
func (c *cluster) startSite(ctx context.Context) error {
	if err := c.makePlaces(); err != nil {
		return err
	}
	if err := c.claimGroups(); err != nil {
		return err
	}
	balancer, err := c.balancer()
	if err != nil {
		return err
	}
	c.record.Site = Host{
		Name: siteName, Address: number(c.opts.Network.private, siteNumber).String(), Public: number(c.opts.Network.public, siteNumber).String(),
	}
	spec := host.Spec{
		Name: siteName, Network: c.opts.Network.siteLines(), Logs: c.opts.Dir.Logs(), Processes: []host.Process{balancer},
	}
	if err := c.start(ctx, &c.record.Site, spec, func(int) error { return nil }); err != nil {
		return err
	}
	err = await(ctx, patience, "the switch", func(ctx context.Context) error {
		return host.Configure(ctx, &c.record.Site.First.PID, "link show switch up")
	})
	if err != nil {
		return err
	}
	return c.opts.Network.plugMachine(ctx, c.record.Site.First.PID)
}

// startServer makes the host of Consul's and Nomad's servers.
func (c *cluster) startServer(ctx context.Context) error {
	return c.startHost(ctx, serverName, serverNumber)
}

// startClients makes the hosts that run jobs.
func (c *cluster) startClients(ctx context.Context) error {
	for i, name := range clientNames() {
		if err := c.startHost(ctx, name, clientNumber+byte(i)+1); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range clientNames() {
		group.Go(func() error { return c.awaitNode(ctx, name) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return c.weigh()
}

// startHost makes one host of the site.
func (c *cluster) startHost(ctx context.Context, name string, last byte) error {
	m, err := c.keys.member(c.opts.Network, name, last)
	if err != nil {
		return err
	}
	processes, err := m.prepare(ctx, place{
		folder: c.folder(name), programs: c.opts.Programs, tasks: c.programs(), link: "eth0", shared: true, progress: c.opts.Progress,
	})
	if err != nil {
		return err
	}
	h := Host{Name: name, Server: m.Server, Address: m.Address.String(), Public: number(c.opts.Network.public, last).String()}
	if m.Database {
		h.Volumes = []string{postgresVolume}
	}
	spec := host.Spec{
		Name: name, Private: private(), Network: c.opts.Network.hostLines(last), Logs: c.opts.Dir.Logs(), Processes: processes,
	}
	c.record.Hosts = append(c.record.Hosts, h)
	return c.start(ctx, &c.record.Hosts[len(c.record.Hosts)-1], spec, func(first int) error {
		return plug(ctx, c.record.Site.First.PID, first, name)
	})
}

// programs is the folder of what tasks run.
func (c *cluster) programs() string { return filepath.Join(c.opts.Dir.Root(), "programs") }
