package mesh

import (
	"errors"
	"fmt"
	"net"

	"github.com/gatehouse/gatehouse/internal/config"
)

// MaxPortOffset keeps every shifted port below 65,536.
const MaxPortOffset = 44000

// Config says where this machine's ports are and how the local Consul agent is reached.
type Config struct {
	PortOffset    int           `name:"mesh-port-offset" env:"GATEHOUSE_MESH_PORT_OFFSET" default:"0" help:"Added to every local port, so that several copies run side by side; a multiple of 1000."`
	ConsulAddress string        `name:"consul-address" env:"GATEHOUSE_CONSUL_ADDRESS" help:"host:port of the local Consul agent's API; 127.0.0.1:8501 plus the port offset when empty (8500 without a CA file)."`
	ConsulCA      string        `name:"consul-ca-file" env:"GATEHOUSE_CONSUL_CA_FILE" help:"PEM file with the CA of the agent's certificate: its API is asked over HTTPS; over plain HTTP when empty."`
	ConsulCert    string        `name:"consul-cert-file" env:"GATEHOUSE_CONSUL_CERT_FILE" help:"PEM file with the client certificate that the agent asks for."`
	ConsulKey     string        `name:"consul-key-file" env:"GATEHOUSE_CONSUL_KEY_FILE" help:"PEM file with the private key of that certificate."`
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
			return fmt.Errorf("GATEHOUSE_CONSUL_ADDRESS is %q: give host:port, such as 127.0.0.1:8501", c.ConsulAddress)
		}
	}
	switch {
	case (c.ConsulCert == "") != (c.ConsulKey == ""):
		return errors.New("GATEHOUSE_CONSUL_CERT_FILE and GATEHOUSE_CONSUL_KEY_FILE belong together: set both or none")
	case c.ConsulCert != "" && c.ConsulCA == "":
		return errors.New("GATEHOUSE_CONSUL_CERT_FILE is set without GATEHOUSE_CONSUL_CA_FILE: name the CA of the agent's certificate too")
	}
	return nil
}

// Consul returns the address of the local agent's API.
func (c Config) Consul() string {
	switch {
	case c.ConsulAddress != "":
		return c.ConsulAddress
	case c.ConsulCA != "":
		return fmt.Sprintf("127.0.0.1:%d", ConsulHTTPSPort+c.PortOffset)
	default:
		return fmt.Sprintf("127.0.0.1:%d", ConsulHTTPPort+c.PortOffset)
	}
}
