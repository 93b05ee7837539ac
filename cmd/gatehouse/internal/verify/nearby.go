package verify

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Where an allocation has what its sidecar uses.
const (
	allocationVariable = "NOMAD_ALLOC_ID"
	xdsSocket          = "alloc/tmp/consul_grpc.sock" // Nomad's way from the sidecar to the host's Consul agent
	envoyAdmin         = "127.0.0.2"
	envoyAdminPort     = 19000
	mostTasks          = 10 // of a group
)

// enterAllocations looks for the allocations that run on this machine and that this user may enter:
// there, and nowhere else, does a program's own sidecar listen for it.
func (c *Cluster) enterAllocations(def *mesh.Definition, g *ground) {
	for _, of := range g.callees {
		program, err := def.Program(of.program)
		calls := err == nil // a backing service calls nobody
		what := "the sockets of " + of.name
		if calls {
			what = fmt.Sprintf("calls through the sidecar of %s, and the sockets beside it", of.name)
		}
		id := allocationOf(of.id)
		if id == "" {
			g.untried = append(g.untried, what+": it is no allocation of Nomad")
			continue
		}
		switch pid, err := host.WithVariable(allocationVariable, id); {
		case err != nil:
			g.untried = append(g.untried, fmt.Sprintf("%s, on %s: %v", what, of.node, err))
		case pid == 0:
			g.untried = append(g.untried, fmt.Sprintf("%s: %s is another machine; run this there as root", what, of.node))
		default:
			g.entered = append(g.entered, entered{instance: of, allocation: id, pid: pid})
			if calls {
				c.enter(g, of, program, pid)
			}
		}
	}
}

// enter adds the sidecar of a program, and the way from there to the host's agent.
func (c *Cluster) enter(g *ground, of instance, program mesh.Program, pid int) {
	g.callers = append(g.callers, sidecar{
		program: program, name: of.name, dial: host.Inside(pid),
		address: func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) },
	})
	d := door{
		name: "agent of " + of.node + ", through " + of.name, node: of.node, through: of.name, mesh: g.roots.mesh, ca: x509.NewCertPool(),
		xds: filepath.Join("/proc", strconv.Itoa(pid), "root", xdsSocket), host: "client." + c.datacenter + ".consul",
	}
	d.plain = !d.ca.AppendCertsFromPEM(c.Files.CA) // sidecars have TLS with the agent where it has any
	g.doors = append(g.doors, d)
}

// findDoors adds the servers, and every port of every node's agent that can be reached from here.
func (c *Cluster) findDoors(ctx context.Context, g *ground, servers []door) {
	g.doors = append(g.doors, servers...)
	if c.Files.API == "" {
		g.untried = append(g.untried, "questions to Consul's API without a certificate: it is not asked over HTTPS")
		return
	}
	api := door{name: "agent at " + c.Files.API, api: c.Files.API, mesh: g.roots.mesh}
	if err := api.certify(c.Files.CA, c.Files.Cert, c.Files.Key); err != nil {
		g.untried = append(g.untried, fmt.Sprintf("questions to Consul's API without a token: %v", err))
		return
	}
	api.ports = c.openPorts(ctx)
	g.doors = append(g.doors, api)
}

// openPorts are the ports at which the agents of all nodes listen for this machine. Nodes may be
// many, and a firewall that drops packets lets each port take its second.
func (c *Cluster) openPorts(ctx context.Context) []string {
	addresses := []string{c.Files.API}
	if nodes, _, err := c.Consul.Catalog().Nodes((&api.QueryOptions{}).WithContext(ctx)); err == nil {
		for _, node := range nodes {
			for _, port := range []int{mesh.ConsulHTTPPort, mesh.ConsulHTTPSPort, mesh.ConsulXDSPort - 1, mesh.ConsulXDSPort, mesh.ConsulRPCPort, mesh.ConsulSerfPort} {
				if address := net.JoinHostPort(node.Address, strconv.Itoa(port)); address != c.Files.API {
					addresses = append(addresses, address)
				}
			}
		}
	}
	listens := make([]bool, len(addresses))
	var group errgroup.Group
	group.SetLimit(dials)
	for i, address := range addresses {
		group.Go(func() error {
			conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
			if err != nil {
				return nil //nolint:nilerr // nobody listens there, or not for us: nothing is given
			}
			listens[i] = true
			return conn.Close()
		})
	}
	_ = group.Wait()  // a connection that does not close is open all the same
	listens[0] = true // it has answered
	open := []string{}
	for i, address := range addresses {
		if listens[i] {
			open = append(open, address)
		}
	}
	return open
}

// dials bounds the connections that are tried at once.
const dials = 64

// ReadFiles reads what CONSUL_CACERT, CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY name; what they do not
// name is left out.
func ReadFiles(api, ca, cert, key string) (Files, error) {
	files := Files{API: api}
	for path, into := range map[string]*[]byte{ca: &files.CA, cert: &files.Cert, key: &files.Key} {
		if path == "" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return files, fmt.Errorf("read the certificates for Consul's API: %w", err)
		}
		*into = text
	}
	return files, nil
}
