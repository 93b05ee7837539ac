package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/drift"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// servicePrefix wants our names to be nobody else's.
func servicePrefix(_ context.Context, site *Site) ([]Finding, error) {
	if site.Prefix != "" {
		return nil, nil
	}
	return []Finding{{
		Level: Warning, What: "Gatehouse's services have no prefix in Consul", Why: "names such as postgres are soon somebody else's too, and no selector can tell them apart",
		Fix: "give one, such as --prefix gatehouse- here and service_prefix in Terraform",
	}}, nil
}

// entriesForeign looks for config entries of others under our names.
func entriesForeign(ctx context.Context, site *Site) ([]Finding, error) {
	held, err := drift.Held(ctx, site.Consul)
	if err != nil {
		return nil, err
	}
	ours := slices.Collect(maps.Values(site.services()))
	var found []Finding
	for _, entry := range held {
		if registry.IsManaged(entry) || !slices.Contains(ours, entry.GetName()) {
			continue
		}
		found = append(found, Finding{
			Level: Danger, What: fmt.Sprintf("Consul's %s/%s is not Gatehouse's (its Meta does not say so)", entry.GetKind(), entry.GetName()),
			Why: "an apply would replace it, and the service of somebody else that it is for would work no more",
			Fix: site.otherPrefix("delete the entry if nobody needs it"),
		})
	}
	return found, nil
}

// otherPrefix says how our names become others than those of somebody else.
func (s *Site) otherPrefix(or string) string {
	if s.Prefix == "" {
		return "give Gatehouse's services a prefix, such as --prefix gatehouse- here and service_prefix in Terraform, or " + or
	}
	return fmt.Sprintf("choose another prefix than %s, or %s", s.Prefix, or)
}
