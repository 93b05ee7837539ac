package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
)

// What our config entries say in their Meta.
const (
	managedBy = "managed-by"
	gatehouse = "gatehouse"
)

// Managed is the Meta by which a config entry is known as ours.
func Managed() map[string]string { return map[string]string{managedBy: gatehouse} }

// IsManaged reports whether a config entry says that it is ours.
func IsManaged(entry api.ConfigEntry) bool { return entry.GetMeta()[managedBy] == gatehouse }

// rename gives an entry, which names programs, the names of their services in Consul: its own, that
// of the sources of intentions, and those by which an extension finds clusters.
func rename(entry api.ConfigEntry, prefix request.ServicePrefix) {
	switch e := entry.(type) {
	case *api.ServiceConfigEntry:
		e.Name = prefix.Service(e.Name)
		for _, extension := range e.EnvoyExtensions {
			for _, patch := range list(extension.Arguments["Patches"]) {
				for _, service := range list(object(object(patch)["ResourceFilter"])["Services"]) {
					if name, ok := object(service)["Name"].(string); ok {
						object(service)["Name"] = prefix.Service(name)
					}
				}
			}
		}
	case *api.ServiceResolverConfigEntry:
		e.Name = prefix.Service(e.Name)
	case *api.ServiceIntentionsConfigEntry:
		e.Name = prefix.Service(e.Name)
		for _, source := range e.Sources {
			if source.Name != everybody {
				source.Name = prefix.Service(source.Name)
			}
		}
	}
}

// Admit lets services of the site, by their whole names, call the programs at the edge through the
// mesh: its own ingress. Without it nobody may.
func Admit(d *mesh.Definition, prefix request.ServicePrefix, entries []api.ConfigEntry, services []string) {
	var sources []*api.SourceIntention
	for _, service := range services {
		sources = append(sources, source(service, api.IntentionActionAllow))
	}
	for _, entry := range entries {
		e, ok := entry.(*api.ServiceIntentionsConfigEntry)
		if !ok {
			continue
		}
		name, _ := prefix.Program(e.Name)
		if p, err := d.Program(name); err == nil && p.Edge {
			e.Sources = slices.Concat(sources, e.Sources)
		}
	}
}

// list and object look into the arguments of an extension, which JSON decides the form of.
func list(value any) []any {
	all, _ := value.([]any)
	return all
}

func object(value any) map[string]any {
	fields, _ := value.(map[string]any)
	return fields
}

// WriteEntries writes config entries one after the other. When one of them is there and does not
// say that it is ours, nothing is written: on a shared cluster it is somebody else's, and Consul
// itself would overwrite it without a word.
func WriteEntries(ctx context.Context, client *api.Client, entries []api.ConfigEntry) error {
	indexes := make([]uint64, len(entries))
	for i, entry := range entries {
		var err error
		if indexes[i], err = ownIndex(ctx, client, entry); err != nil {
			return err
		}
	}
	for i, entry := range entries {
		ok, _, err := client.ConfigEntries().CAS(entry, indexes[i], (&api.WriteOptions{}).WithContext(ctx))
		if err == nil && !ok {
			err = errors.New("somebody else changes it at the same time: do this again")
		}
		if err != nil {
			return fmt.Errorf("write %s of %s: %w", entry.GetKind(), entry.GetName(), err)
		}
	}
	return nil
}

// ownIndex is the index of the entry that another one is to replace, 0 where there is none.
func ownIndex(ctx context.Context, client *api.Client, entry api.ConfigEntry) (uint64, error) {
	there, _, err := client.ConfigEntries().Get(entry.GetKind(), entry.GetName(), (&api.QueryOptions{}).WithContext(ctx))
	if status := (api.StatusError{}); errors.As(err, &status) && status.Code == http.StatusNotFound {
		return 0, nil
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("read %s of %s: %w", entry.GetKind(), entry.GetName(), err)
	case !IsManaged(there):
		return 0, fmt.Errorf("Consul has a %s of %s that is not Gatehouse's (its Meta lacks %s = %q): give Gatehouse's services a prefix of their own with GATEHOUSE_MESH_SERVICE_PREFIX, or delete that entry",
			entry.GetKind(), entry.GetName(), managedBy, gatehouse)
	}
	return there.GetModifyIndex(), nil
}
