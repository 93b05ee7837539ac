package mesh

import (
	"errors"
	"fmt"

	"github.com/gatehouse/gatehouse/internal/request"
)

// MaxPortOffset keeps every shifted port below 65,536.
const MaxPortOffset = 44000

// Config says where this machine's ports are and which mesh it belongs to.
type Config struct {
	PortOffset  int    `name:"mesh-port-offset" env:"GATEHOUSE_MESH_PORT_OFFSET" default:"0" help:"Added to every local port, so that several copies run side by side; a multiple of 1000."`
	TrustDomain string `name:"mesh-trust-domain" env:"GATEHOUSE_MESH_TRUST_DOMAIN" help:"Trust domain of the mesh's CA, such as 11111111-2222-3333-4444-555555555555.consul: callers with another one's certificate are refused. Services do not start without; up sets it."`
	Datacenter  string `name:"mesh-datacenter" env:"GATEHOUSE_MESH_DATACENTER" help:"Consul datacenter of the mesh, such as dc1: callers from another one are refused. Services do not start without; up sets it."`

	Instance      int                   `name:"mesh-instance" env:"GATEHOUSE_MESH_INSTANCE" default:"1" help:"Which of several instances of this program on one machine this is: each has ports of its own. up sets it."`
	ServicePrefix request.ServicePrefix `name:"mesh-service-prefix" env:"GATEHOUSE_MESH_SERVICE_PREFIX" help:"Goes before the name of every program in Consul, such as gatehouse-: callers without it are refused. Lower-case letters, digits and hyphens, ends with a hyphen; the same everywhere in a mesh. up sets it."`
}

// Validate reports contradictions.
func (c Config) Validate() error {
	if c.PortOffset < 0 || c.PortOffset > MaxPortOffset {
		return fmt.Errorf("GATEHOUSE_MESH_PORT_OFFSET is %d: give a number from 0 to %d, best a multiple of 1000", c.PortOffset, MaxPortOffset)
	}
	if c.Instance < 0 || c.Instance > MaxInstances {
		return fmt.Errorf("GATEHOUSE_MESH_INSTANCE is %d: give a number from 1 to %d", c.Instance, MaxInstances)
	}
	return c.ServicePrefix.Check()
}

// Peers is where this program's callers must come from. Without it a server would take another
// mesh's programs for its own.
func (c Config) Peers() (request.Mesh, error) {
	switch {
	case c.TrustDomain == "":
		return request.Mesh{}, errors.New("GATEHOUSE_MESH_TRUST_DOMAIN is empty: set it to the trust domain of the mesh's CA (TrustDomain in Consul's /v1/connect/ca/roots)")
	case c.Datacenter == "":
		return request.Mesh{}, errors.New("GATEHOUSE_MESH_DATACENTER is empty: set it to the name of Consul's datacenter, such as dc1")
	}
	return request.Mesh{TrustDomain: c.TrustDomain, Datacenter: c.Datacenter, Prefix: c.ServicePrefix}, nil
}
