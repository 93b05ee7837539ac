package registry_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// The generated files know programs. What is read from them with a prefix is what follows from the
// definition with it: no name is left without, and nothing gets it twice.
func TestFilesAreReadWithThePrefix(t *testing.T) {
	folder := fstest.MapFS{}
	for _, entry := range registry.ConfigEntries(world(), "") {
		text, err := registry.EncodeEntry(entry)
		check.NoError(t, err)
		folder[registry.EntryFile(entry)] = &fstest.MapFile{Data: text}
	}
	read, err := registry.ReadEntries(folder, prefix)
	check.NoError(t, err)
	derived := registry.ConfigEntries(world(), prefix)
	if len(read) != len(derived) {
		t.Fatalf("%d entries are read and %d derived", len(read), len(derived))
	}
	said := map[string]bool{}
	for _, entry := range derived {
		text, err := registry.EncodeEntry(entry)
		check.NoError(t, err)
		said[string(text)] = true
		for _, name := range []string{"gateway", "shop", "stock", "postgres"} {
			whole, prefixed := bytes.Count(text, []byte(`"Name": "`+name)), bytes.Count(text, []byte(`"Name": "gatehouse-`+name+`"`))
			if whole > 0 || !strings.HasPrefix(entry.GetName(), "gatehouse-") || bytes.Contains(text, []byte("gatehouse-gatehouse-")) {
				t.Errorf("%s of %s names %s %d times without the prefix and %d times with it:\n%s", entry.GetKind(), entry.GetName(), name, whole, prefixed, text)
			}
		}
		if !registry.IsManaged(entry) {
			t.Errorf("%s of %s does not say whose it is", entry.GetKind(), entry.GetName())
		}
	}
	for _, entry := range read {
		text, err := registry.EncodeEntry(entry)
		check.NoError(t, err)
		if !said[string(text)] {
			t.Errorf("%s of %s is read as something else:\n%s", entry.GetKind(), entry.GetName(), text)
		}
	}
}

// A site's ingress may call the edge, before everybody else is denied, and nothing behind it.
func TestAdmitTheSitesIngress(t *testing.T) {
	entries := registry.ConfigEntries(world(), prefix)
	registry.Admit(world(), prefix, entries, []string{"edge-envoy"})
	for _, entry := range entries {
		e, ok := entry.(*api.ServiceIntentionsConfigEntry)
		if !ok {
			continue
		}
		admitted := e.Sources[0].Name == "edge-envoy" && e.Sources[0].Action == api.IntentionActionAllow
		if admitted != (e.Name == "gatehouse-gateway") || e.Sources[len(e.Sources)-1].Name != "*" {
			t.Errorf("%s: %+v", e.Name, e.Sources[0])
		}
	}
}

// On a shared cluster somebody else may have an entry of that name. It stays, nothing is written
// beside it, and the operator learns what to do; under a prefix there is room for both.
func TestForeignEntriesStay(t *testing.T) {
	consul := consultest.New(t)
	foreign := &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "postgres", Protocol: "http", Meta: map[string]string{"owner": "somebody"}}
	_, _, err := consul.ConfigEntries().Set(foreign, nil)
	check.NoError(t, err)

	err = registry.WriteEntries(t.Context(), consul.Client, registry.ConfigEntries(world(), ""))
	if err == nil || !strings.Contains(err.Error(), "service-defaults of postgres that is not Gatehouse's") ||
		!strings.Contains(err.Error(), "GATEHOUSE_MESH_SERVICE_PREFIX") || strings.Contains(err.Error(), "\n") {
		t.Errorf("it says %v", err)
	}
	list := func() []api.ConfigEntry {
		t.Helper()
		all, _, err := consul.ConfigEntries().List(api.ServiceDefaults, nil)
		check.NoError(t, err)
		return all
	}
	if all := list(); len(all) != 1 || all[0].(*api.ServiceConfigEntry).Protocol != "http" || all[0].GetMeta()["owner"] != "somebody" {
		t.Errorf("Consul holds %+v", all)
	}

	entries := registry.ConfigEntries(world(), prefix)
	for range 2 { // again over what is ours
		check.Within(t, 20*time.Second, "the entries are written", func() error { // a Consul that has just started refuses intentions
			return registry.WriteEntries(t.Context(), consul.Client, entries)
		})
	}
	if all := list(); len(all) != 5 || all[4].(*api.ServiceConfigEntry).Protocol != "http" {
		t.Errorf("Consul holds %+v", all)
	}
}
