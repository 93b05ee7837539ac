package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster/host"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/mesh"
	nomad "github.com/gatehouse/gatehouse/nomad/agent"
)

// Member is what a host is told by who makes a site: which one it is, and what its agents prove
// themselves with. What runs on it follows, be it made of namespaces or a virtual machine. As a file
// it is root's alone.
type Member struct {
	Name     string     `json:"name"`
	Server   bool       `json:"server"`
	Database bool       `json:"database"` // it has the volume of PostgreSQL
	Network  string     `json:"network"`
	Address  netip.Addr `json:"address"` // in the subnet of the hosts

	CA           string `json:"ca"` // of the agents, as the next two in PEM
	Cert         string `json:"cert"`
	Key          string `json:"key"`
	ConsulGossip string `json:"consul_gossip"`
	NomadGossip  string `json:"nomad_gossip,omitempty"` // a server's only
	AgentToken   string `json:"agent_token"`            // of its Consul agent
	NomadAgent   string `json:"nomad_agent,omitempty"`  // Consul token of its Nomad client
	Tokens       tokens `json:"tokens,omitzero"`        // a server's only, which makes them
}

// ReadMember reads the file of a host.
func ReadMember(path string) (Member, error) {
	var m Member
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		return m, fmt.Errorf("read what this host is told: %w: name a file of `gatehouse cluster host keys` with --keys", err)
	}
	return m, nil
}

func (m Member) write(path string) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("write what the host %s is told: %w", m.Name, err)
	}
	return writeFiles(map[string]string{path: string(raw) + "\n"})
}

// place is where a host is: what of its machine the agents must know.
type place struct {
	folder   string // of all that it has on the disk; short, since Nomad makes sockets below it
	programs Programs
	tasks    string // folder of what tasks run
	link     string // network link by which it reaches the others
	shared   bool   // with other hosts: then Nomad is not told what the machine really has
	progress func(format string, args ...any)
}

// prepare writes the files of the host's agents and returns their processes.
func (m Member) prepare(ctx context.Context, p place) ([]host.Process, error) {
	network, err := ParseNetwork(m.Network)
	if err != nil {
		return nil, err
	}
	files := map[string]string{p.ca(): m.CA, p.cert(): m.Cert, p.key(): m.Key, p.token(): m.AgentToken}
	servers := []string{number(network.private, serverNumber).String()}
	consul := agent.Host{
		Server: m.Server, NodeName: m.Name, DataDir: p.file("consul"), Address: m.Address.String(), Servers: servers, GossipKey: m.ConsulGossip,
		CAFile: p.ca(), CertFile: p.cert(), KeyFile: p.key(), AgentToken: m.AgentToken, ManagementToken: m.Tokens.Consul,
	}
	scheduler := nomad.Host{
		Server: m.Server, NodeName: m.Name, DataDir: p.file("nomad"), Address: m.Address.String(), Servers: servers, GossipKey: m.NomadGossip,
		CAFile: p.ca(), CertFile: p.cert(), KeyFile: p.key(), AllocDir: p.file("alloc"), ConsulToken: m.NomadAgent, CNI: p.programs.CNI,
		Interface: p.link, SharesMachine: p.shared, Private: network.private.String(), Public: network.public.String(),
		Chroot: map[string]string{p.tasks: "/opt/gatehouse/bin"}, Volumes: map[string]string{},
	}
	if m.Database {
		if err := giveDatabase(ctx, p, &scheduler); err != nil {
			return nil, err
		}
	}
	consulText, err := consul.Render()
	if err != nil {
		return nil, err
	}
	nomadText, err := scheduler.Render()
	if err != nil {
		return nil, err
	}
	files[p.file("consul.hcl")], files[p.file("consul-host.hcl")] = consul.Shared(), consulText
	files[p.file("nomad.hcl")], files[p.file("nomad-host.hcl")] = scheduler.Shared(), nomadText
	return m.processes(p), writeFiles(files)
}

// processes are the agents, Consul's first.
func (m Member) processes(p place) []host.Process {
	consul := host.Process{
		Name: "consul", Environ: environ(p.programs),
		Command: []string{p.programs.Consul.Path, "agent", "-config-file", p.file("consul.hcl"), "-config-file", p.file("consul-host.hcl")},
	}
	if !m.Server {
		consul.Ready = []string{p.programs.Consul.Path, "acl", "token", "read", "-self"} // it has joined
		consul.Environ = append(consul.Environ,                                          // it asks as the agent itself, whose token no environment shows
			"CONSUL_HTTP_ADDR=https://127.0.0.1:"+strconv.Itoa(mesh.ConsulHTTPSPort), "CONSUL_CACERT="+p.ca(),
			"CONSUL_CLIENT_CERT="+p.cert(), "CONSUL_CLIENT_KEY="+p.key(), "CONSUL_HTTP_TOKEN_FILE="+p.token())
	}
	return []host.Process{consul, {
		Name: "nomad", Environ: environ(p.programs),
		Command: []string{p.programs.Nomad.Path, "agent", "-config", p.file("nomad.hcl"), "-config", p.file("nomad-host.hcl")},
	}}
}

func (p place) file(name string) string { return filepath.Join(p.folder, name) }

func (p place) ca() string { return p.file("agents-ca.pem") }

func (p place) cert() string { return p.file("agent.pem") }

func (p place) key() string { return p.file("agent-key.pem") }

func (p place) token() string { return p.file("consul-agent.token") }

// giveDatabase gives a client the volume of the database and the server's programs.
func giveDatabase(ctx context.Context, p place, values *nomad.Host) error {
	folder := p.file("postgres")
	values.Volumes[postgresVolume] = folder
	roots, err := postgresRoots(ctx, p.folder, p.progress)
	if err != nil {
		return err
	}
	maps.Copy(values.Chroot, roots)
	return volume(folder)
}

// environ is the closed environment of agents: Nomad finds Consul's program there, which makes the
// first configuration of sidecars, and the commands that its plugins use.
func environ(programs Programs) []string {
	path := []string{filepath.Dir(programs.Consul.Path), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
	return []string{"PATH=" + strings.Join(path, ":"), "HOME=/root", "LANG=C.UTF-8"}
}

// member is the host with the last number of its addresses.
func (k *keys) member(network Network, name string, last byte) (Member, error) {
	m := Member{
		Name: name, Server: name == serverName, Database: name == clientNames()[0], Network: network.String(), Address: number(network.private, last),
		CA: k.agents.PEM, ConsulGossip: k.consulGossip, AgentToken: k.tokens.Agents[name],
	}
	role := "client"
	if m.Server {
		role, m.NomadGossip, m.Tokens = "server", k.nomadGossip, k.tokens
	} else {
		m.NomadAgent = k.tokens.NomadAgents[name]
	}
	names := []string{role + "." + agent.Datacenter + ".consul", role + "." + nomad.Region + ".nomad", "localhost"}
	var err error
	m.Cert, m.Key, err = k.agents.Issue(name, names, net.IPv4(127, 0, 0, 1), m.Address.AsSlice())
	return m, err
}
