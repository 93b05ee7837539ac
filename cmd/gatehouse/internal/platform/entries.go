package platform

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/registry"
)

// writeEntries writes the config entries of the definition and takes away those of services that it
// does not have any more, or had with another prefix. The agent of one machine serves nobody else,
// so every such entry is ours, also what an earlier version has left without saying so.
func (p *Platform) writeEntries(ctx context.Context) error {
	entries := registry.ConfigEntries(p.opts.Definition, p.opts.Prefix)
	kinds := []string{api.ServiceIntentions, api.ServiceResolver, api.ServiceDefaults} // intentions first: they need the protocol
	for _, kind := range kinds {
		stored, _, err := p.consul.ConfigEntries().List(kind, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return fmt.Errorf("list Consul's %s entries: %w", kind, err)
		}
		for _, old := range stored {
			if registry.IsManaged(old) && slices.ContainsFunc(entries, func(e api.ConfigEntry) bool { return e.GetKind() == kind && e.GetName() == old.GetName() }) {
				continue
			}
			if _, err := p.consul.ConfigEntries().Delete(kind, old.GetName(), (&api.WriteOptions{}).WithContext(ctx)); err != nil {
				return fmt.Errorf("delete the stale entry %s of %s: %w", kind, old.GetName(), err)
			}
		}
	}
	return registry.WriteEntries(ctx, p.consul, entries)
}
