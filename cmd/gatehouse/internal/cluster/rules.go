package cluster

import (
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/logs"
	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

// servicePrefix goes before our names in Consul, as a site has it that shares Consul with others.
const servicePrefix request.ServicePrefix = "gatehouse-"

// writeEntries writes Consul's config entries: that of the whole mesh, that by which sidecars log
// calls (`gatehouse mesh denied`), and those of the contracts.
func (c *cluster) writeEntries(ctx context.Context) error {
	client, err := Consul(c.opts.Dir, c.record)
	if err != nil {
		return err
	}
	entry, err := api.DecodeConfigEntryFromJSON(consul.MeshEntry())
	if err != nil {
		return fmt.Errorf("read the entry of the mesh: %w", err)
	}
	if _, _, err := client.ConfigEntries().Set(entry, written(ctx)); err != nil {
		return fmt.Errorf("write the entry of the mesh: %w", err)
	}
	return registry.WriteEntries(ctx, client, append(registry.ConfigEntries(c.opts.Definition, servicePrefix), logs.Entry()))
}
