package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/drift"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Cluster is a Consul with the instances that a scheduler runs, on whichever hosts.
type Cluster struct {
	Consul  *api.Client // with the operator's rights, to make tokens among others
	Prefix  request.ServicePrefix
	Ingress []string // services of the site that may call the edge
	Files   Files
	Nomad   *Nomad // nil where nobody says how to reach it
	Now     func() time.Time

	datacenter string
}

// Files are those with which the agents' APIs are asked, in PEM.
type Files struct {
	API           string // host:port of the API that Consul is asked at; empty where that is not HTTPS
	CA, Cert, Key []byte
}

var _ Surroundings = &Cluster{}

// survey finds the instances in the catalog, has a token made for the check alone, and with it a
// certificate signed for every caller, for keys that never leave this process.
func (c *Cluster) survey(ctx context.Context, def *mesh.Definition) (*ground, func() error, error) {
	s := &session{consul: c.Consul, prefix: c.Prefix, now: c.Now}
	g := &ground{consul: c.Consul}
	var err error
	if g.tokens, err = s.begin(ctx, callers(def)); err != nil {
		return nil, s.end, err
	}
	var self struct{ Config struct{ Datacenter string } }
	if _, err := c.Consul.Raw().Query("/v1/agent/self", &self, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return nil, s.end, fmt.Errorf("ask Consul for its datacenter: %w", err)
	}
	c.datacenter = self.Config.Datacenter
	if g.roots, err = readRoots(ctx, c.Consul, request.Mesh{Datacenter: c.datacenter, Prefix: c.Prefix}); err != nil {
		return nil, s.end, err
	}
	if g.callees, g.untried, err = c.instances(ctx, def); err != nil {
		return nil, s.end, err
	}
	servers, err := c.servers(ctx, g.roots.mesh)
	if err != nil {
		return nil, s.end, err
	}
	if g.own, err = c.identities(ctx, servers, s.secret, g.roots.mesh, callers(def)); err != nil {
		g.untried = append(g.untried, fmt.Sprintf("calls at the sidecars' public ports: %v", err))
	}
	c.enterAllocations(def, g)
	c.findDoors(ctx, g, servers)
	c.Nomad.tryTemplates(g, callers(def), c.Prefix)
	return g, s.end, nil
}

// servers are Consul's servers, as doors: they sign certificates on their gRPC port.
func (c *Cluster) servers(ctx context.Context, own request.Mesh) ([]door, error) {
	all, _, err := c.Consul.Catalog().Service("consul", "", (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("look for Consul's servers in its catalog: %w", err)
	}
	var doors []door
	for _, s := range all {
		port := cmp.Or(s.ServiceMeta["grpc_tls_port"], s.ServiceMeta["grpc_port"])
		if n, err := strconv.Atoi(port); err != nil || n <= 0 {
			continue
		}
		d := door{
			name: "server " + s.Node, node: s.Node, signs: true, xds: net.JoinHostPort(cmp.Or(s.ServiceAddress, s.Address), port),
			host: "server." + c.datacenter + ".consul", mesh: own, plain: s.ServiceMeta["grpc_tls_port"] == "",
		}
		if !d.plain {
			if err := d.certify(c.Files.CA, c.Files.Cert, c.Files.Key); err != nil {
				return nil, fmt.Errorf("%w: set CONSUL_CACERT, CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY", err)
			}
		}
		doors = append(doors, d)
	}
	return doors, nil
}

// identities has a certificate of every caller signed by any of the servers.
func (c *Cluster) identities(ctx context.Context, servers []door, token string, own request.Mesh, names []string) (map[string]identity, error) {
	last := errors.New("no server of Consul has gRPC open, where certificates for the check are signed: set ports { grpc_tls = 8503 } on the servers")
	for _, server := range servers {
		conn, err := server.dial()
		if err != nil {
			return nil, err
		}
		all := map[string]identity{}
		for _, name := range names {
			ctx, cancel := context.WithTimeout(ctx, patience)
			pair, err := signed(as(ctx, token), conn, own.SPIFFE(name))
			cancel()
			if err != nil {
				last = fmt.Errorf("get a certificate of %s from Consul's %s at %s: %w", name, server.name, server.xds, err)
				break
			}
			all[name] = identityOf(pair)
		}
		_ = conn.Close()
		if len(all) == len(names) {
			return all, nil
		}
	}
	return nil, last
}

// look finds versions, and what listens in the allocations that can be entered.
func (c *Cluster) look(ctx context.Context, _ *mesh.Definition, g *ground) (listening []string, versions map[string][]string, err error) {
	versions = map[string][]string{}
	nodes, _, err := c.Consul.Catalog().Nodes((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, nil, fmt.Errorf("ask Consul for its nodes: %w", err)
	}
	for _, node := range nodes {
		if version := node.Meta["consul-version"]; version != "" && !slices.Contains(versions["consul"], version) {
			versions["consul"] = append(versions["consul"], version)
		}
	}
	for _, caller := range g.callers {
		version, err := c.envoyVersion(ctx, caller)
		if err != nil {
			g.untried = append(g.untried, fmt.Sprintf("the version of %s's sidecar: %v", caller.name, err))
			continue
		}
		versions["envoy"] = append(versions["envoy"], version)
	}
	return c.Nomad.sockets(ctx, g), versions, nil
}

// envoyVersion asks the first of the places at which Nomad puts the admin of a sidecar that answers:
// 19000 and the place of its task in the group.
func (c *Cluster) envoyVersion(ctx context.Context, of sidecar) (version string, err error) {
	for task := range mostTasks {
		if version, err = envoyVersion(ctx, of.dial, net.JoinHostPort(envoyAdmin, strconv.Itoa(envoyAdminPort+task))); err == nil {
			return version, nil
		}
	}
	return "", err
}

// entries are those of the definition. Others in a shared Consul are somebody else's, unless they
// say that they are ours.
func (c *Cluster) entries(def *mesh.Definition) expected {
	want := registry.ConfigEntries(def, c.Prefix)
	registry.Admit(def, c.Prefix, want, c.Ingress)
	return expected{want: want, mend: "apply the entries", owns: drift.LeftOver(def, c.Prefix)}
}
