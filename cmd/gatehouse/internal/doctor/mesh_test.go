package doctor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/intentions"
	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

func set(t *testing.T, o *consultest.OneMachine, entries ...api.ConfigEntry) {
	t.Helper()
	for _, entry := range entries {
		_, _, err := o.ConfigEntries().Set(entry, nil)
		check.NoError(t, err)
	}
}

func everybody(name, source string) *api.ServiceIntentionsConfigEntry {
	return &api.ServiceIntentionsConfigEntry{
		Kind: api.ServiceIntentions, Name: name, Sources: []*api.SourceIntention{{Name: source, Action: api.IntentionActionAllow}},
	}
}

func TestIntentionsOfEverybody(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	set(t, o, everybody("shop", "cart"), everybody("shop", "*"))
	wants(t, site, "intentions-wildcard", doctor.OK) // somebody else's own affair
	set(t, o, everybody("*", "shop"))
	wants(t, site, "intentions-wildcard", doctor.Warning, "lets shop call every service")
	_, err := o.ConfigEntries().Delete(api.ServiceIntentions, "*", nil)
	check.NoError(t, err)
	set(t, o, everybody("gatehouse-authz", "*"))
	wants(t, site, "intentions-wildcard", doctor.Danger, "service-intentions/gatehouse-authz lets everybody call")
}

func TestSidecarsThatDoWithoutMTLS(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	wants(t, site, "mesh-permissive", doctor.Warning, "normalized", "mesh-entry.json")
	mesh, err := api.DecodeConfigEntryFromJSON(consul.MeshEntry())
	check.NoError(t, err)
	set(t, o, mesh)
	wants(t, site, "mesh-permissive", doctor.OK)
	proxies := &api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Config: map[string]any{"envoy_public_listener_json": "{}"}}
	set(t, o, proxies)
	wants(t, site, "mesh-permissive", doctor.Danger, "envoy_public_listener_json")
	proxies.Config = nil
	open, ok := mesh.(*api.MeshConfigEntry)
	if !ok {
		t.Fatalf("%T", mesh)
	}
	open.AllowEnablingPermissiveMutualTLS = true
	set(t, o, open, proxies)
	wants(t, site, "mesh-permissive", doctor.Warning, "AllowEnablingPermissiveMutualTLS")
	proxies.MutualTLSMode = api.MutualTLSModePermissive
	set(t, o, proxies)
	if all := found(t, site, "mesh-permissive"); len(all) != 2 || all[0].Level != doctor.Danger {
		t.Errorf("%+v", all)
	}
}

// What an apply would do is said before it, also what it would undo.
func TestWhatAnApplyWouldDo(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	wants(t, site, "apply-changes", doctor.OK, "16 of 16 config entries and 6 of 6 policies", "change 0 entries")
	check.NoError(t, registry.WriteEntries(t.Context(), o.Client, site.Entries))
	check.NoError(t, registry.WritePolicies(t.Context(), o.Client, site.Definition, prefix))
	wants(t, site, "apply-changes", doctor.OK, "0 of 16 config entries and 0 of 6 policies")
	wants(t, site, "entries-left-over", doctor.OK)
	set(t, o, &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "gatehouse-authz", Protocol: "http", Meta: registry.Managed()},
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "gatehouse-gone", Protocol: "http", Meta: registry.Managed()})
	wants(t, site, "apply-changes", doctor.OK, "change 1 entries (service-defaults/gatehouse-authz)")
	does(t, o, wants(t, site, "entries-left-over", doctor.Warning, "service-defaults/gatehouse-gone").Fix)
	wants(t, site, "entries-left-over", doctor.OK)
	check.NoError(t, registry.WriteEntries(t.Context(), o.Client, site.Entries))
	check.NoError(t, intentions.Store{Consul: o.Client}.Change(t.Context(), "gatehouse-authz", func(live *api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error) {
		return intentions.Deny(live, nil, "gatehouse-identity", "", intentions.Mark{By: "ada@desk", At: time.Now(), Reason: "it floods"})
	}))
	all := found(t, site, "apply-changes")
	if len(all) != 2 || all[1].Level != doctor.Warning || !strings.Contains(all[1].What, "identity -> ") || !strings.Contains(all[1].What, "it floods") {
		t.Errorf("a denial by hand: %+v", all)
	}
}
