package verify

import (
	"context"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/drift"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/logs"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// entries compares what Consul holds with what follows from the definition, and with the entry that makes the sidecars log. That every callee's entry carries the extension that
// replaces the caller header, word for word, is part of it: most probes cannot see whether it works (package comment).
func (m *matrix) entries(ctx context.Context) ([]string, error) {
	held, err := drift.Held(ctx, m.consul)
	if err != nil {
		return nil, err
	}
	// The agent of one machine serves nobody else: it may hold no other entries.
	all, err := drift.Compare(append(registry.ConfigEntries(m.def, m.record.ServicePrefix), logs.Entry()), held, m.record.ServicePrefix, func(api.ConfigEntry) bool { return true })
	if err != nil {
		return nil, err
	}
	wrong := []string{}
	for _, d := range all {
		wrong = append(wrong, d.Sentence("restart the platform"))
	}
	return wrong, nil
}
