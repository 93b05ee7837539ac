package mesh

import (
	"fmt"
	"net"

	"github.com/gatehouse/gatehouse/internal/config"
)

// MaxPortOffset keeps every shifted port below 65,536.
const MaxPortOffset = 44000

// Config says where this machine's ports are and how the local Consul agent is reached.
type Config struct {
	PortOffset    int           `name:"mesh-port-offset" env:"GATEHOUSE_MESH_PORT_OFFSET" default:"0" help:"Added to every local port, so that several copies run side by side; a multiple of 1000."`
	ConsulAddress string        `name:"consul-address" env:"GATEHOUSE_CONSUL_ADDRESS" help:"host:port of the local Consul agent's HTTP API; 127.0.0.1:8500 plus the port offset when empty."`
	ConsulToken   config.Secret `name:"consul-token" env:"GATEHOUSE_CONSUL_TOKEN" help:"ACL token with service:write on this program and its sidecar."`
	Register      bool          `name:"consul-register" env:"GATEHOUSE_CONSUL_REGISTER" help:"Register this program and its sidecar with Consul; off where a scheduler does."`
}

// Validate reports contradictions.
func (c Config) Validate() error {
	if c.PortOffset < 0 || c.PortOffset > MaxPortOffset {
		return fmt.Errorf("GATEHOUSE_MESH_PORT_OFFSET is %d: give a number from 0 to %d, best a multiple of 1000", c.PortOffset, MaxPortOffset)
	}
	if c.ConsulAddress != "" {
		if _, _, err := net.SplitHostPort(c.ConsulAddress); err != nil {
			return fmt.Errorf("GATEHOUSE_CONSUL_ADDRESS is %q: give host:port, such as 127.0.0.1:8500", c.ConsulAddress)
		}
	}
	return nil
}

// Consul returns the address of the local agent's HTTP API.
func (c Config) Consul() string {
	if c.ConsulAddress != "" {
		return c.ConsulAddress
	}
	return fmt.Sprintf("127.0.0.1:%d", ConsulHTTPPort+c.PortOffset)
}
