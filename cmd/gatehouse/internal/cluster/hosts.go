package cluster

import (
	"context"
	"maps"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster/host"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/mesh"
	nomad "github.com/gatehouse/gatehouse/nomad/agent"
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
	address := number(c.opts.Network.private, serverNumber)
	own, shared, err := c.consulAgent(serverName, true, address)
	if err != nil {
		return err
	}
	nomadOwn, nomadShared, err := c.nomadAgent(nomad.Host{Server: true, NodeName: serverName, GossipKey: c.keys.nomadGossip}, address)
	if err != nil {
		return err
	}
	return c.startHost(ctx, Host{Name: serverName, Server: true}, serverNumber,
		host.Process{Name: "consul", Command: []string{c.opts.Programs.Consul.Path, "agent", "-config-file", shared, "-config-file", own}},
		host.Process{Name: "nomad", Command: []string{c.opts.Programs.Nomad.Path, "agent", "-config", nomadShared, "-config", nomadOwn}})
}

// startClients makes the hosts that run jobs.
func (c *cluster) startClients(ctx context.Context) error {
	for i, name := range clientNames() {
		if err := c.startClient(ctx, name, clientNumber+byte(i)+1); err != nil {
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

func (c *cluster) startClient(ctx context.Context, name string, last byte) error {
	h := Host{Name: name}
	values := nomad.Host{
		NodeName: name, AllocDir: filepath.Join(c.folder(name), "alloc"), ConsulToken: c.keys.nomadAgents[name], CNI: c.opts.Programs.CNI,
		Private: c.opts.Network.private.String(), Public: c.opts.Network.public.String(),
		Chroot: map[string]string{c.programs(): "/opt/gatehouse/bin"}, Volumes: map[string]string{},
	}
	if name == clientNames()[0] {
		if err := c.giveDatabase(ctx, &h, &values); err != nil {
			return err
		}
	}
	processes, err := c.clientAgents(values, number(c.opts.Network.private, last))
	if err != nil {
		return err
	}
	return c.startHost(ctx, h, last, processes...)
}

// clientAgents writes what the agents of a host read and returns their processes.
func (c *cluster) clientAgents(values nomad.Host, address netip.Addr) ([]host.Process, error) {
	own, shared, err := c.consulAgent(values.NodeName, false, address)
	if err != nil {
		return nil, err
	}
	nomadOwn, nomadShared, err := c.nomadAgent(values, address)
	if err != nil {
		return nil, err
	}
	environ, err := c.askConsul(values.NodeName)
	return []host.Process{{
		Name: "consul", Command: []string{c.opts.Programs.Consul.Path, "agent", "-config-file", shared, "-config-file", own},
		Environ: environ, Ready: []string{c.opts.Programs.Consul.Path, "acl", "token", "read", "-self"}, // it has joined
	}, {
		Name: "nomad", Command: []string{c.opts.Programs.Nomad.Path, "agent", "-config", nomadShared, "-config", nomadOwn},
	}}, err
}

// giveDatabase makes a client the host of the database: it has the volume and the server's programs.
func (c *cluster) giveDatabase(ctx context.Context, h *Host, values *nomad.Host) error {
	folder := filepath.Join(c.folder(h.Name), "postgres")
	h.Volumes, values.Volumes[postgresVolume] = []string{postgresVolume}, folder
	roots, err := c.postgresRoots(ctx)
	if err != nil {
		return err
	}
	maps.Copy(values.Chroot, roots)
	return volume(folder)
}

// startHost makes one host of the site.
func (c *cluster) startHost(ctx context.Context, h Host, last byte, processes ...host.Process) error {
	h.Address, h.Public = number(c.opts.Network.private, last).String(), number(c.opts.Network.public, last).String()
	for i := range processes {
		processes[i].Environ = append(processes[i].Environ, c.environ()...)
	}
	spec := host.Spec{
		Name: h.Name, Private: private(), Network: c.opts.Network.hostLines(last), Logs: c.opts.Dir.Logs(), Processes: processes,
	}
	c.record.Hosts = append(c.record.Hosts, h)
	return c.start(ctx, &c.record.Hosts[len(c.record.Hosts)-1], spec, func(first int) error {
		return plug(ctx, c.record.Site.First.PID, first, h.Name)
	})
}

// consulAgent writes the files of a host's Consul agent and returns their paths.
func (c *cluster) consulAgent(name string, server bool, address netip.Addr) (own, shared string, err error) {
	cert, key, err := c.certificate(name, server, address)
	if err != nil {
		return "", "", err
	}
	values := agent.Host{
		Server: server, NodeName: name, DataDir: filepath.Join(c.folder(name), "consul"), Address: address.String(),
		Servers: c.servers(), GossipKey: c.keys.consulGossip, CAFile: c.opts.Dir.SecretPath(AgentsCA), CertFile: cert, KeyFile: key,
		AgentToken: c.keys.agentTokens[name],
	}
	if server {
		values.ManagementToken = c.keys.consulToken
	}
	text, err := values.Render()
	if err != nil {
		return "", "", err
	}
	own, shared = filepath.Join(c.folder(name), "consul-host.hcl"), filepath.Join(c.folder(name), "consul.hcl")
	return own, shared, writeFiles(map[string]string{own: text, shared: values.Shared()})
}

// nomadAgent writes the files of a host's Nomad agent and returns their paths.
func (c *cluster) nomadAgent(values nomad.Host, address netip.Addr) (own, shared string, err error) {
	folder := c.folder(values.NodeName)
	values.DataDir, values.Address, values.Servers = filepath.Join(folder, "nomad"), address.String(), c.servers()
	values.CAFile = c.opts.Dir.SecretPath(AgentsCA)
	values.CertFile, values.KeyFile = filepath.Join(folder, "agent.pem"), filepath.Join(folder, "agent-key.pem")
	text, err := values.Render()
	if err != nil {
		return "", "", err
	}
	own, shared = filepath.Join(folder, "nomad-host.hcl"), filepath.Join(folder, "nomad.hcl")
	return own, shared, writeFiles(map[string]string{own: text, shared: values.Shared()})
}

func (c *cluster) servers() []string {
	return []string{number(c.opts.Network.private, serverNumber).String()}
}

// programs is the folder of what tasks run.
func (c *cluster) programs() string { return filepath.Join(c.opts.Dir.Root(), "programs") }

// environ is the closed environment of agents: Nomad finds Consul's program there, which makes the
// first configuration of sidecars, and the commands that its plugins use.
func (c *cluster) environ() []string {
	path := []string{filepath.Dir(c.opts.Programs.Consul.Path), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
	return []string{"PATH=" + strings.Join(path, ":"), "HOME=/root", "LANG=C.UTF-8"}
}

// askConsul is the environment by which Consul's program asks the agent of its host whether it has
// joined, as the agent itself. Its token is in a file: an environment is everybody's who may look
// at the process.
func (c *cluster) askConsul(name string) ([]string, error) {
	folder := c.folder(name)
	token := filepath.Join(folder, "consul-agent.token")
	return []string{
		"CONSUL_HTTP_ADDR=https://127.0.0.1:" + strconv.Itoa(mesh.ConsulHTTPSPort), "CONSUL_CACERT=" + c.opts.Dir.SecretPath(AgentsCA),
		"CONSUL_CLIENT_CERT=" + filepath.Join(folder, "agent.pem"), "CONSUL_CLIENT_KEY=" + filepath.Join(folder, "agent-key.pem"),
		"CONSUL_HTTP_TOKEN_FILE=" + token,
	}, writeFiles(map[string]string{token: c.keys.agentTokens[name]})
}
