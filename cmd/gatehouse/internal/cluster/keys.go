package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
)

// keys are made for one life of a cluster and thrown away with it. The keys of both authorities
// are in memory only.
type keys struct {
	agents, site *agent.Authority

	consulGossip, nomadGossip string
	tokens                    tokens
}

// tokens are those that Consul and Nomad are told when they begin.
type tokens struct {
	Consul      string            `json:"consul"`       // management
	Nomad       string            `json:"nomad"`        // management
	Agents      map[string]string `json:"agents"`       // of Consul's agents, by host
	NomadAgents map[string]string `json:"nomad_agents"` // Consul's tokens of Nomad's clients, by host
}

// makeKeys makes them and stores what the operator needs.
func (c *cluster) makeKeys(context.Context) (err error) {
	if c.keys, err = newKeys(c.opts.Now()); err != nil {
		return err
	}
	files, err := c.keys.operators()
	if err != nil {
		return err
	}
	for name, secret := range files {
		if err := c.opts.Dir.WriteSecret(name, secret); err != nil {
			return err
		}
	}
	return nil
}

func newKeys(now time.Time) (s keys, err error) {
	if s.agents, err = agent.NewAuthority("Gatehouse development cluster: agents", now); err != nil {
		return s, err
	}
	// Another one than that of the agents: what it signs must not open their APIs.
	if s.site, err = agent.NewAuthority("Gatehouse development cluster: site", now); err != nil {
		return s, err
	}
	for _, key := range []*string{&s.consulGossip, &s.nomadGossip} {
		if *key, err = state.Key(); err != nil {
			return s, err
		}
	}
	if s.tokens.Agents, err = newTokens(append(clientNames(), serverName)); err != nil {
		return s, err
	}
	if s.tokens.NomadAgents, err = newTokens(clientNames()); err != nil {
		return s, err
	}
	for _, token := range []*string{&s.tokens.Consul, &s.tokens.Nomad} {
		if *token, err = state.Token(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// newTokens makes one for each host.
func newTokens(hosts []string) (map[string]string, error) {
	made := map[string]string{}
	for _, name := range hosts {
		var err error
		if made[name], err = state.Token(); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// operators are the files that the operator needs.
func (k *keys) operators() (map[string]string, error) {
	cert, key, err := k.agents.Issue("operator", nil)
	if err != nil {
		return nil, err
	}
	siteKey, err := k.site.Key()
	return map[string]string{
		AgentsCA: k.agents.PEM, SiteCA: k.site.PEM, SiteKey: siteKey, OperatorCert: cert, OperatorKey: key, ConsulToken: k.tokens.Consul, NomadToken: k.tokens.Nomad,
	}, err
}

func clientNames() []string {
	var names []string
	for i := range clients {
		names = append(names, fmt.Sprint(clientName, i+1))
	}
	return names
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
