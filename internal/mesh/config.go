package mesh

import (
	"errors"
	"fmt"
	"net"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/request"
)

// MaxPortOffset keeps every shifted port below 65,536.
const MaxPortOffset = 44000

// Config says where this machine's ports are and how the local Consul agent is reached.
type Config struct {
	PortOffset    int           `name:"mesh-port-offset" env:"GATEHOUSE_MESH_PORT_OFFSET" default:"0" help:"Added to every local port, so that several copies run side by side; a multiple of 1000."`
	TrustDomain   string        `name:"mesh-trust-domain" env:"GATEHOUSE_MESH_TRUST_DOMAIN" help:"Trust domain of the mesh's CA, such as 11111111-2222-3333-4444-555555555555.consul: callers with another one's certificate are refused. Services do not start without; up sets it."`
	Datacenter    string        `name:"mesh-datacenter" env:"GATEHOUSE_MESH_DATACENTER" help:"Consul datacenter of the mesh, such as dc1: callers from another one are refused. Services do not start without; up sets it."`
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

// Peers is where this program's callers must come from. Without it a server would take another
// mesh's programs for its own.
func (c Config) Peers() (request.Mesh, error) {
	switch {
	case c.TrustDomain == "":
		return request.Mesh{}, errors.New("GATEHOUSE_MESH_TRUST_DOMAIN is empty: set it to the trust domain of the mesh's CA (TrustDomain in Consul's /v1/connect/ca/roots)")
	case c.Datacenter == "":
		return request.Mesh{}, errors.New("GATEHOUSE_MESH_DATACENTER is empty: set it to the name of Consul's datacenter, such as dc1")
	}
	return request.Mesh{TrustDomain: c.TrustDomain, Datacenter: c.Datacenter}, nil
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
