package verify

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/logs"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// What a real Consul gives back counts as written; every deviation is one sentence that names the entry.
func TestEntriesInConsulAreCompared(t *testing.T) {
	const prefix = "gatehouse-"
	def := meshtest.Definition(t)
	server := consultest.New(t)
	set := func(entry api.ConfigEntry) {
		t.Helper()
		if _, _, err := server.ConfigEntries().Set(entry, nil); err != nil {
			t.Fatal(err)
		}
	}
	writeAll := func() {
		for _, entry := range registry.ConfigEntries(def, prefix) {
			set(entry)
		}
		set(logs.Entry())
	}
	machine := Machine{Record: state.Record{ServicePrefix: prefix}}
	check := func(name string, want ...string) {
		t.Helper()
		got, err := entries(t.Context(), server.Client, machine.entries(def), prefix)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %q, want %q", name, got, want)
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: %q, want it to say %q", name, got[i], want[i])
			}
		}
	}
	writeAll()
	check("as written")

	for _, entry := range registry.ConfigEntries(def, prefix) {
		if defaults, ok := entry.(*api.ServiceConfigEntry); ok && defaults.Name == "gatehouse-auth" {
			defaults.EnvoyExtensions[0].Arguments["Script"] = "function envoy_on_request(handle) end"
			set(defaults)
		}
	}
	check("another script", "service-defaults of gatehouse-auth is not the definition's, by EnvoyExtensions")

	writeAll()
	set(&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: mesh.Postgres})
	set(&api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal})
	check("one too many, and no log", "proxy-defaults of global is not the definition's, by AccessLogs", "service-resolver of postgres")
	set(logs.Entry())
	for _, extra := range [][2]string{{api.ServiceResolver, mesh.Postgres}, {api.ServiceIntentions, "gatehouse-auth"}} {
		if _, err := server.ConfigEntries().Delete(extra[0], extra[1], nil); err != nil {
			t.Fatal(err)
		}
	}
	check("one missing", "no service-intentions of gatehouse-auth")
}

// In a shared Consul only what says that it is ours, under our prefix, can be too many.
func TestForeignEntriesAreNoError(t *testing.T) {
	const prefix = "gatehouse-"
	def := meshtest.Definition(t)
	server := consultest.New(t)
	left := &api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: prefix + "old", Meta: registry.Managed()}
	others := []api.ConfigEntry{
		&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: "foreign"}, left,
		&api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal},
	}
	for _, entry := range append(registry.ConfigEntries(def, prefix), others...) {
		check.Within(t, 20*time.Second, "config entry", func() error { // a Consul that has just started refuses intentions
			_, _, err := server.ConfigEntries().Set(entry, nil)
			return err
		})
	}
	wrong, err := entries(t.Context(), server.Client, (&Cluster{Prefix: prefix}).entries(def), prefix)
	if err != nil || len(wrong) != 1 || !strings.Contains(wrong[0], "service-resolver of gatehouse-old") {
		t.Errorf("%q, %v", wrong, err)
	}
}
