package platform

import (
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/logs"
)

// writeAccessLogs lets every sidecar write a line for each call into its log. Consul has this for all proxies of a cluster only, which is
// why it is written here, for the agent that serves nobody else, and is not among the entries that a shared cluster gets.
func (p *Platform) writeAccessLogs(ctx context.Context) error {
	ok, _, err := p.consul.ConfigEntries().Set(logs.Entry(), (&api.WriteOptions{}).WithContext(ctx))
	if err == nil && !ok {
		err = fmt.Errorf("Consul did not take it")
	}
	if err != nil {
		return fmt.Errorf("write the sidecars' access log: %w", err)
	}
	return nil
}
