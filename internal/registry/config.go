// Package registry says in Consul's words what the mesh definition says in ours: the config entries
// of all services, the registration of a program and its sidecar, and the client and the registrar
// that bring them to the local agent.
//
// What only reads the definition imports internal/mesh, which knows no Consul.
package registry

import (
	"errors"
	"fmt"
	"net"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Config says how the local Consul agent is reached, and whether the program registers itself.
type Config struct {
	Address  string        `name:"consul-address" env:"GATEHOUSE_CONSUL_ADDRESS" help:"host:port of the local Consul agent's API; 127.0.0.1:8501 plus the port offset when empty (8500 without a CA file)."`
	CA       string        `name:"consul-ca-file" env:"GATEHOUSE_CONSUL_CA_FILE" help:"PEM file with the CA of the agent's certificate: its API is asked over HTTPS; over plain HTTP when empty."`
	Cert     string        `name:"consul-cert-file" env:"GATEHOUSE_CONSUL_CERT_FILE" help:"PEM file with the client certificate that the agent asks for."`
	Key      string        `name:"consul-key-file" env:"GATEHOUSE_CONSUL_KEY_FILE" help:"PEM file with the private key of that certificate."`
	Token    config.Secret `name:"consul-token" env:"GATEHOUSE_CONSUL_TOKEN" help:"ACL token with service:write on this program and its sidecar."`
	Register bool          `name:"consul-register" env:"GATEHOUSE_CONSUL_REGISTER" help:"Register this program and its sidecar with Consul; off where a scheduler does."`
}

// Validate reports contradictions.
func (c Config) Validate() error {
	if c.Address != "" {
		if _, _, err := net.SplitHostPort(c.Address); err != nil {
			return fmt.Errorf("GATEHOUSE_CONSUL_ADDRESS is %q: give host:port, such as 127.0.0.1:8501", c.Address)
		}
	}
	switch {
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("GATEHOUSE_CONSUL_CERT_FILE and GATEHOUSE_CONSUL_KEY_FILE belong together: set both or none")
	case c.Cert != "" && c.CA == "":
		return errors.New("GATEHOUSE_CONSUL_CERT_FILE is set without GATEHOUSE_CONSUL_CA_FILE: name the CA of the agent's certificate too")
	}
	return nil
}

// Agent is the address of the local agent's API: the configured one, or where the agent of a
// machine with this port offset listens.
func (c Config) Agent(portOffset int) string {
	switch {
	case c.Address != "":
		return c.Address
	case c.CA != "":
		return fmt.Sprintf("127.0.0.1:%d", mesh.ConsulHTTPSPort+portOffset)
	default:
		return fmt.Sprintf("127.0.0.1:%d", mesh.ConsulHTTPPort+portOffset)
	}
}
