package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
	nomad "github.com/gatehouse/gatehouse/nomad/agent"
)

// keys are made for one life of a cluster and thrown away with it. The keys of both authorities
// are in memory only.
type keys struct {
	agents, site *agent.Authority

	consulGossip, nomadGossip string
	consulToken, nomadToken   string            // management
	agentTokens               map[string]string // of Consul's agents, by host
	nomadAgents               map[string]string // Consul's tokens of Nomad's clients, by host
}

// makeKeys makes them and stores what the operator and the agents need.
func (c *cluster) makeKeys(context.Context) (err error) {
	s := &c.keys
	if s.agents, err = agent.NewAuthority("Gatehouse development cluster: agents", c.opts.Now()); err != nil {
		return err
	}
	// Another one than that of the agents: what it signs must not open their APIs.
	if s.site, err = agent.NewAuthority("Gatehouse development cluster: site", c.opts.Now()); err != nil {
		return err
	}
	for _, key := range []*string{&s.consulGossip, &s.nomadGossip} {
		if *key, err = state.Key(); err != nil {
			return err
		}
	}
	if s.agentTokens, err = tokens(append(clientNames(), serverName)); err != nil {
		return err
	}
	if s.nomadAgents, err = tokens(clientNames()); err != nil {
		return err
	}
	for _, token := range []*string{&s.consulToken, &s.nomadToken} {
		if *token, err = state.Token(); err != nil {
			return err
		}
	}
	cert, key, err := s.agents.Issue("operator", nil)
	if err != nil {
		return err
	}
	return c.store(map[string]string{
		AgentsCA: s.agents.PEM, SiteCA: s.site.PEM, OperatorCert: cert, OperatorKey: key,
		ConsulToken: s.consulToken, NomadToken: s.nomadToken,
	})
}

// tokens makes one for each host.
func tokens(hosts []string) (map[string]string, error) {
	made := map[string]string{}
	for _, name := range hosts {
		var err error
		if made[name], err = state.Token(); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func (c *cluster) store(files map[string]string) error {
	for name, secret := range files {
		if err := c.opts.Dir.WriteSecret(name, secret); err != nil {
			return err
		}
	}
	return nil
}

func clientNames() []string {
	var names []string
	for i := range clients {
		names = append(names, fmt.Sprint(clientName, i+1))
	}
	return names
}

// certificate makes an agent's, by which it is server and client, and returns the paths of both
// files.
func (c *cluster) certificate(name string, server bool, address netip.Addr) (certFile, keyFile string, err error) {
	role := "client"
	if server {
		role = "server"
	}
	names := []string{role + "." + agent.Datacenter + ".consul", role + "." + nomad.Region + ".nomad", "localhost"}
	cert, key, err := c.keys.agents.Issue(name, names, net.IPv4(127, 0, 0, 1), address.AsSlice())
	if err != nil {
		return "", "", err
	}
	certFile, keyFile = filepath.Join(c.folder(name), "agent.pem"), filepath.Join(c.folder(name), "agent-key.pem")
	return certFile, keyFile, writeFiles(map[string]string{certFile: cert, keyFile: key})
}

// folder is what a host has on the disk.
func (c *cluster) folder(name string) string { return hostFolder(c.opts.Dir, name) }

func hostFolder(dir state.Dir, name string) string { return filepath.Join(dir.Root(), name) }

func (c *cluster) specPath(name string) string { return filepath.Join(c.folder(name), "host.json") }

// writeFiles writes files that are root's alone, and the folders around them.
func writeFiles(files map[string]string) error {
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // tasks run below it, as other users
			return fmt.Errorf("write what a host has: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write what a host has: %w", err)
		}
	}
	return nil
}
