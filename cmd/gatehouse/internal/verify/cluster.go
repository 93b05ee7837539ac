package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
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
