package verify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/logs"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/platform"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Machine is the platform of a state folder.
type Machine struct {
	Dir    state.Dir
	Record state.Record
}

var _ Surroundings = Machine{}

func (m Machine) address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+m.Record.Offset) }

// survey has a certificate signed for every caller with that caller's own token, for a key of our
// own. It makes nothing in Consul.
func (m Machine) survey(ctx context.Context, def *mesh.Definition) (*ground, func() error, error) {
	nothing := func() error { return nil }
	g := &ground{own: map[string]identity{}, tokens: map[string]string{}}
	management, err := secret(m.Dir, platform.ManagementToken)
	if err != nil {
		return nil, nothing, err
	}
	if g.consul, err = registry.NewClient(m.Record.Consul, platform.ConsulAPI(m.Dir, management)); err != nil {
		return nil, nothing, err
	}
	if g.roots, err = readRoots(ctx, g.consul, request.Mesh{Datacenter: agent.Datacenter, Prefix: m.Record.ServicePrefix}); err != nil {
		return nil, nothing, err
	}
	d, err := m.door(g.roots.mesh)
	if err != nil {
		return nil, nothing, err
	}
	g.doors = []door{d}
	for _, p := range def.Instances(m.Record.Scale) {
		g.callees = append(g.callees, instance{program: p.Name, name: p.ID(), id: m.Record.ServicePrefix.Service(p.ID()), public: m.address(p.Public)})
		g.callers = append(g.callers, sidecar{program: p.Program, name: p.ID(), dial: (&net.Dialer{}).DialContext, address: m.address})
	}
	for _, b := range def.Backings {
		g.callees = append(g.callees, instance{program: b.Name, name: b.Name, id: m.Record.ServicePrefix.Service(b.Name), public: m.address(b.Public)})
	}
	return g, nothing, m.identities(ctx, g, callers(def))
}

func (m Machine) identities(ctx context.Context, g *ground, names []string) error {
	conn, err := g.doors[0].dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for _, name := range names {
		if g.tokens[name], err = secret(m.Dir, platform.TokenName(name)); err != nil {
			return err
		}
		pair, err := signed(as(ctx, g.tokens[name]), conn, g.roots.mesh.SPIFFE(name))
		if err != nil {
			return fmt.Errorf("get a certificate of %s from Consul: %w", name, err)
		}
		g.own[name] = identity{certificates: []tls.Certificate{pair}}
	}
	return nil
}

func secret(dir state.Dir, name string) (string, error) {
	text, err := dir.ReadSecret(name)
	if err != nil {
		return "", fmt.Errorf("read what Consul asks for: %w: run this as the user that runs the platform", err)
	}
	return text, nil
}

// door looks for the ports of the running agent, wherever its configuration has put them.
func (m Machine) door(own request.Mesh) (door, error) {
	d := door{mesh: own, node: platform.NodeName, api: m.Record.Consul, xds: m.Record.XDS(), signs: true}
	found, err := host.ListenersOf(m.Record.PID(state.ConsulProcess))
	if err != nil {
		return d, fmt.Errorf("consul: %w: run this as the user that runs the platform", err)
	}
	for _, socket := range found {
		if socket.Network == "tcp" {
			d.ports = append(d.ports, socket.Address.String())
		}
	}
	var texts [3]string
	for i, name := range []string{platform.ConsulCA, platform.ConsulClientCert, platform.ConsulClientKey} {
		if texts[i], err = secret(m.Dir, name); err != nil {
			return d, err
		}
	}
	return d, d.certify([]byte(texts[0]), []byte(texts[1]), []byte(texts[2]))
}

// look names every socket of the platform that is open to other machines and not the edge's.
func (m Machine) look(ctx context.Context, def *mesh.Definition, g *ground) (listening []string, versions map[string][]string, err error) {
	listening = []string{}
	for _, process := range m.Record.Processes {
		if def.IsEdge(process.Name) {
			continue
		}
		found, err := host.ListenersOf(process.PID)
		if errors.Is(err, os.ErrNotExist) {
			continue // ended meanwhile
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w: run this as the user that runs the platform", process.Name, err)
		}
		for _, socket := range found {
			if !socket.Address.Addr().IsLoopback() {
				listening = append(listening, fmt.Sprintf("%s (process %d) listens on %s %s", process.Name, process.PID, socket.Network, socket.Address))
			}
		}
	}
	versions, err = m.versions(ctx, def, g.consul)
	return listening, versions, err
}

func (m Machine) versions(ctx context.Context, def *mesh.Definition, client *api.Client) (map[string][]string, error) {
	var consul struct {
		Config struct{ Version string }
	}
	if _, err := client.Raw().Query("/v1/agent/self", &consul, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return nil, fmt.Errorf("ask Consul for its version: %w", err)
	}
	running := map[string][]string{"consul": {consul.Config.Version}}
	for _, p := range def.Instances(m.Record.Scale) {
		version, err := envoyVersion(ctx, (&net.Dialer{}).DialContext, m.address(p.Admin))
		if err != nil {
			return nil, fmt.Errorf("ask %s's sidecar for its version: %w", p.ID(), err)
		}
		running["envoy"] = append(running["envoy"], version)
	}
	return running, nil
}

// meanwhile nothing comes or goes: what dies is started again in its place, and no answer of it is
// wrong.
func (m Machine) meanwhile(context.Context, *mesh.Definition, *ground) (ended, untried []string, err error) {
	return nil, nil, nil
}

// entries are all that the agent may hold: it serves nobody else.
func (m Machine) entries(def *mesh.Definition) expected {
	return expected{
		want: append(registry.ConfigEntries(def, m.Record.ServicePrefix), logs.Entry()),
		owns: func(api.ConfigEntry) bool { return true }, mend: "restart the platform",
	}
}
