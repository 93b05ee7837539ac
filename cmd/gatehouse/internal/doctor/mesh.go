package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/drift"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/intentions"
)

// wildcardIntentions looks for intentions of everybody. Gatehouse's own end with a denial, which goes
// before them, as long as they are there.
func wildcardIntentions(ctx context.Context, site *Site) ([]Finding, error) {
	list, _, err := site.Consul.ConfigEntries().List(api.ServiceIntentions, asked(ctx))
	if err != nil {
		return nil, fmt.Errorf("list Consul's intentions: %w", err)
	}
	ours := slices.Collect(maps.Values(site.services()))
	var found []Finding
	for _, entry := range list {
		e, ok := entry.(*api.ServiceIntentionsConfigEntry)
		if !ok {
			continue
		}
		open := []string{}
		for _, source := range e.Sources {
			if allows(source) && (e.Name == intentions.Everybody || source.Name == intentions.Everybody) {
				open = append(open, source.Name)
			}
		}
		about := slices.Contains(ours, e.Name)
		switch {
		case len(open) == 0:
		case about:
			found = append(found, Finding{
				Level: Danger, What: fmt.Sprintf("service-intentions/%s lets everybody call", e.Name), Why: "whoever has a sidecar in this mesh calls it",
				Fix: "write Gatehouse's entry again (`gatehouse mesh diff` shows the difference)",
			})
		case e.Name == intentions.Everybody:
			found = append(found, Finding{
				Level: Warning, What: fmt.Sprintf("service-intentions/* lets %s call every service", few(open)),
				Why: "only a service's own entry is in its way: one of Gatehouse's that somebody deletes opens that service",
				Fix: "allow who calls whom by name, and delete it",
			})
		}
	}
	return found, nil
}

func allows(source *api.SourceIntention) bool {
	return source.Action == api.IntentionActionAllow ||
		slices.ContainsFunc(source.Permissions, func(p *api.IntentionPermission) bool { return p.Action == api.IntentionActionAllow })
}

// permissive is about R77 and R78: who may do without mTLS, and what a path may look like.
func permissive(ctx context.Context, site *Site) ([]Finding, error) {
	held, err := drift.Held(ctx, site.Consul)
	if err != nil {
		return nil, err
	}
	var found []Finding
	normalized := false
	for _, entry := range held {
		switch e := entry.(type) {
		case *api.ProxyConfigEntry:
			found = append(found, ofProxies(e)...)
		case *api.ServiceConfigEntry:
			if e.MutualTLSMode == api.MutualTLSModePermissive && slices.Contains(slices.Collect(maps.Values(site.services())), e.Name) {
				found = append(found, noMTLS("service-defaults/"+e.Name))
			}
		case *api.MeshConfigEntry:
			if e.AllowEnablingPermissiveMutualTLS {
				found = append(found, Finding{
					Level: Warning, What: "the mesh entry allows services to do without mTLS (AllowEnablingPermissiveMutualTLS)",
					Why: "one entry more and a sidecar takes calls of nobody knows whom", Fix: "set it to false in the mesh entry",
				})
			}
			normalized = e.HTTP != nil && e.HTTP.Incoming != nil && e.HTTP.Incoming.RequestNormalization != nil && !e.HTTP.Incoming.RequestNormalization.InsecureDisablePathNormalization
		}
	}
	if !normalized {
		found = append(found, Finding{
			Level: Warning, What: "the mesh entry does not say how paths are normalized (HTTP.Incoming.RequestNormalization)",
			Why: "what intentions compare and what an HTTP service reads can be two paths; Gatehouse's own are compared exactly",
			Fix: "write the mesh entry with consul/mesh-entry.json as its model, after asking whose services it changes",
		})
	}
	return found, nil
}

func ofProxies(e *api.ProxyConfigEntry) []Finding {
	var found []Finding
	if e.MutualTLSMode == api.MutualTLSModePermissive {
		found = append(found, noMTLS("proxy-defaults/global"))
	}
	for key := range e.Config {
		if strings.EqualFold(key, "envoy_public_listener_json") {
			found = append(found, Finding{
				Level: Danger, What: "proxy-defaults/global replaces the sidecars' public listener (" + key + ")",
				Why: "who may call whom, paths and certificates are what it says, and no intention counts", Fix: "take it out of proxy-defaults",
			})
		}
	}
	return found
}

func noMTLS(entry string) Finding {
	return Finding{
		Level: Danger, What: entry + " lets sidecars take calls without mTLS (MutualTLSMode = permissive)", Why: "whoever reaches the port calls, and no intention is asked",
		Fix: "set MutualTLSMode = strict there",
	}
}
