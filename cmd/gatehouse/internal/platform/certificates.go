package platform

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// The secret files of Consul's certificates. Whoever can read the client's key may ask Consul's
// API, which still wants a token; sidecars and programs cannot and need not.
const (
	ConsulCA         = "consul-ca.pem"
	ConsulClientCert = "consul-client.pem"
	ConsulClientKey  = "consul-client.key"
	consulServerCert = "consul-server.pem"
	consulServerKey  = "consul-server.key"
)

// makeCertificates makes sure that Consul and its clients have certificates that last: whole new
// ones when there are none, when they end within a year, or when they do not belong together.
func (p *Platform) makeCertificates() error {
	var c agent.Certificates
	files := []struct {
		name    string
		content *string
	}{
		{ConsulCA, &c.CA}, {consulServerCert, &c.ServerCert}, {consulServerKey, &c.ServerKey}, {ConsulClientCert, &c.ClientCert}, {ConsulClientKey, &c.ClientKey},
	}
	for _, file := range files {
		content, err := p.opts.Dir.ReadSecret(file.name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		*file.content = content
	}
	if c.Due(p.opts.Now()) == nil {
		return nil
	}
	var err error
	if c, err = agent.NewCertificates(p.opts.Now()); err != nil {
		return fmt.Errorf("make Consul's certificates: %w", err)
	}
	for _, file := range files {
		if err := p.opts.Dir.WriteSecret(file.name, *file.content); err != nil {
			return err
		}
	}
	return nil
}

// ConsulAPI says how the agent's API is asked: over HTTPS, with the certificates of the state
// folder and nothing from the environment.
func ConsulAPI(dir state.Dir, token string) registry.Config {
	return registry.Config{
		Token: config.NewSecret(token), CA: dir.SecretPath(ConsulCA),
		Cert: dir.SecretPath(ConsulClientCert), Key: dir.SecretPath(ConsulClientKey),
	}
}
