package cli

import (
	"fmt"
	"strings"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/platform"
	"github.com/gatehouse/gatehouse/consul/agent"
)

type envCommand struct {
	stateFlag `embed:""`
}

// Run prints export lines for a POSIX shell: eval "$(gatehouse env)".
func (c *envCommand) Run(console *Console) error {
	dir, record, err := c.running()
	if err != nil {
		return err
	}
	for _, pair := range [][2]string{
		{"CONSUL_HTTP_ADDR", "https://" + record.Consul},
		{"CONSUL_CACERT", dir.SecretPath(platform.ConsulCA)},
		{"CONSUL_CLIENT_CERT", dir.SecretPath(platform.ConsulClientCert)},
		{"CONSUL_CLIENT_KEY", dir.SecretPath(platform.ConsulClientKey)},
		{"CONSUL_HTTP_TOKEN_FILE", dir.SecretPath(platform.ManagementToken)},
		{"CONSUL_GRPC_ADDR", "https://" + record.XDS()},
		{"CONSUL_GRPC_CACERT", dir.SecretPath(platform.ConsulCA)},
		{"GATEHOUSE_URL", record.Gateway},
		{"GATEHOUSE_CLI_STATE", dir.Root()},
		{"GATEHOUSE_MESH_PORT_OFFSET", fmt.Sprint(record.Offset)},
		{"GATEHOUSE_MESH_TRUST_DOMAIN", record.TrustDomain},
		{"GATEHOUSE_MESH_DATACENTER", agent.Datacenter},
		{"GATEHOUSE_MESH_SERVICE_PREFIX", string(record.ServicePrefix)},
		{"GATEHOUSE_CLI_SCALE", record.Scale.String()},
	} {
		console.printf("export %s=%s\n", pair[0], quote(pair[1]))
	}
	return nil
}

// quote makes one word of a text for a POSIX shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
