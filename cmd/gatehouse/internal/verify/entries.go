package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/logs"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// rulingKinds are the kinds of config entries that decide who may call whom, by which way and under which name. The agent of one machine
// serves nobody else, so it may hold no other entries of these kinds than the definition's.
func rulingKinds() []string {
	return []string{
		api.ServiceDefaults, api.ServiceResolver, api.ServiceIntentions, api.ProxyDefaults, api.ServiceRouter, api.ServiceSplitter, api.MeshConfig,
	}
}

// entries compares what Consul holds with what follows from the definition, and with the entry that makes the sidecars log. That every callee's entry carries the extension that
// replaces the caller header, word for word, is part of it: most probes cannot see whether it works (package comment).
func (m *matrix) entries(ctx context.Context) ([]string, error) {
	var held []api.ConfigEntry
	for _, kind := range rulingKinds() {
		all, _, err := m.consul.ConfigEntries().List(kind, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("list Consul's %s entries: %w", kind, err)
		}
		held = append(held, all...)
	}
	return differences(append(registry.ConfigEntries(m.def, m.record.ServicePrefix), logs.Entry()), held)
}

// differences is one sentence for each entry that is missing, is too many or says something else.
func differences(want, held []api.ConfigEntry) ([]string, error) {
	wrong := []string{}
	for _, entry := range want {
		i := slices.IndexFunc(held, func(e api.ConfigEntry) bool { return same(e, entry) })
		if i < 0 {
			wrong = append(wrong, fmt.Sprintf("Consul has no %s of %s: restart the platform to write it again", entry.GetKind(), entry.GetName()))
			continue
		}
		ours, err := fields(entry)
		if err != nil {
			return nil, err
		}
		theirs, err := fields(held[i])
		if err != nil {
			return nil, err
		}
		var differ []string
		for name := range mergeKeys(ours, theirs) {
			if !reflect.DeepEqual(ours[name], theirs[name]) {
				differ = append(differ, name)
			}
		}
		if len(differ) > 0 {
			slices.Sort(differ)
			wrong = append(wrong, fmt.Sprintf("Consul's %s of %s is not the definition's, by %s: restart the platform to write it again",
				entry.GetKind(), entry.GetName(), strings.Join(differ, ", ")))
		}
	}
	for _, entry := range held {
		if !slices.ContainsFunc(want, func(e api.ConfigEntry) bool { return same(e, entry) }) {
			wrong = append(wrong, fmt.Sprintf("Consul has a %s of %s, which the definition does not have: delete it", entry.GetKind(), entry.GetName()))
		}
	}
	return wrong, nil
}

func same(a, b api.ConfigEntry) bool { return a.GetKind() == b.GetKind() && a.GetName() == b.GetName() }

// fields is what an entry says, without what Consul counts.
func fields(entry api.ConfigEntry) (map[string]any, error) {
	raw, err := json.Marshal(entry)
	if err != nil {
		return nil, fmt.Errorf("compare %s of %s: %w", entry.GetKind(), entry.GetName(), err)
	}
	said := map[string]any{}
	if err := json.Unmarshal(raw, &said); err != nil {
		return nil, fmt.Errorf("compare %s of %s: %w", entry.GetKind(), entry.GetName(), err)
	}
	for _, counted := range []string{"CreateIndex", "ModifyIndex", "Hash"} {
		delete(said, counted)
	}
	return said, nil
}

func mergeKeys(a, b map[string]any) map[string]bool {
	all := map[string]bool{}
	for name := range a {
		all[name] = true
	}
	for name := range b {
		all[name] = true
	}
	return all
}
