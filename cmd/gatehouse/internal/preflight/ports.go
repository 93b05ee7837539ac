package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Port is one local port that a platform needs.
type Port struct {
	Address string // host:port
	Use     string // such as "PostgreSQL"
	UDP     bool   // needed beside TCP
}

// MaxOffset keeps every port below 65,536.
const MaxOffset = 40000

// CheckOffset refuses an offset that would leave the port space or let two copies meet.
func CheckOffset(offset int) error {
	if offset < 0 || offset > MaxOffset || offset%1000 != 0 {
		return fmt.Errorf("--port-offset %d cannot be used: give a multiple of 1000 from 0 to %d", offset, MaxOffset)
	}
	return nil
}

// Ports lists every local port of a platform. gateway is the address the edge listens on, which may be configured; withPostgres says
// whether the platform runs its own database server.
func Ports(def *mesh.Definition, scale mesh.Scale, offset int, gateway string, withPostgres bool) []Port {
	var all []Port
	add := func(use string, port int) {
		all = append(all, Port{Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port+offset)), Use: use})
	}
	for _, p := range def.Instances(scale) {
		id := p.ID()
		if p.Edge {
			all = append(all, Port{Address: gateway, Use: id})
		} else {
			add(id, p.Port)
		}
		if p.RESTPort != 0 { // whether the door is open or not: the operator may open it any time
			add(id+"'s REST door", p.RESTPort)
		}
		add(id+"'s ops listener", p.OpsPort)
		add(id+"'s sidecar", p.Public)
		add(id+"'s sidecar admin", p.Admin)
		for _, u := range p.Upstreams {
			add(id+"'s way to "+u.Name, u.Port)
		}
	}
	for _, b := range def.Backings {
		if withPostgres {
			add(b.Name, b.Port)
		}
		add(b.Name+"'s sidecar", b.Public)
		add(b.Name+"'s sidecar admin", b.Admin)
	}
	add("Consul's HTTPS API", mesh.ConsulHTTPSPort)
	add("Consul's xDS", mesh.ConsulXDSPort)
	add("Consul's gossip", mesh.ConsulSerfPort)
	all[len(all)-1].UDP = true
	add("Consul's server", mesh.ConsulRPCPort)
	return all
}

// CheckPorts refuses the first port that cannot be listened on.
func CheckPorts(ctx context.Context, ports []Port) error {
	for _, p := range ports {
		err := try(ctx, p)
		if err == nil {
			continue
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%s cannot listen on %s: %w: configure another address", p.Use, p.Address, err)
		}
		return fmt.Errorf("port %s, for %s, is taken%s: free it, or move every port with --port-offset (a multiple of 1000)", p.Address, p.Use, holder(p.Address))
	}
	return nil
}

// try listens for a moment.
func try(ctx context.Context, p Port) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", p.Address)
	if err != nil {
		return err
	}
	if err := listener.Close(); err != nil {
		return err
	}
	if !p.UDP {
		return nil
	}
	packets, err := config.ListenPacket(ctx, "udp", p.Address)
	if err != nil {
		return err
	}
	return packets.Close()
}

// holder names the process that listens on the address, as far as this user may know.
func holder(address string) string {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return ""
	}
	owner, err := host.Owner(port)
	if err != nil || owner.PID == 0 {
		return ""
	}
	return fmt.Sprintf(" by process %d (%s)", owner.PID, owner.Command)
}
