package registry_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
)

func world() *mesh.Definition {
	return &mesh.Definition{
		Programs: []mesh.Program{
			{Name: "gateway", Edge: true, Upstreams: []mesh.Upstream{{Name: "shop", Protocol: "grpc"}}},
			{Name: "shop", Upstreams: []mesh.Upstream{{Name: "postgres", Protocol: "tcp"}, {Name: "stock", Protocol: "grpc"}}},
			{Name: "stock"},
		},
		Backings: []mesh.Backing{{Name: "postgres", Callers: []string{"shop"}}},
		Methods: []mesh.Method{
			{Path: "/shop.v1.Shop/Buy", Callee: "shop", Callers: []string{"gateway"}},
			{Path: "/stock.v1.Stock/Take", Callee: "stock", Callers: []string{"shop"}},
		},
	}
}

func TestFilesSortInTheOrderOfApplication(t *testing.T) {
	entries := registry.ConfigEntries(world(), "")
	folder := fstest.MapFS{"README.md": {Data: []byte("not an entry")}}
	var kinds []string
	for _, entry := range entries {
		text, err := registry.EncodeEntry(entry)
		if err != nil {
			t.Fatal(err)
		}
		folder[registry.EntryFile(entry)] = &fstest.MapFile{Data: text}
	}
	read, err := registry.ReadEntries(folder, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(read) != len(entries) {
		t.Errorf("read %d entries, wrote %d", len(read), len(entries))
	}
	for _, entry := range read {
		kinds = append(kinds, entry.GetKind())
	}
	if want := []string{api.ServiceDefaults, api.ServiceResolver, api.ServiceIntentions}; !slices.Equal(slices.Compact(kinds), want) {
		t.Errorf("kinds come in the order %v, want %v", kinds, want)
	}
}

func TestReadEntriesNamesTheBrokenFile(t *testing.T) {
	_, err := registry.ReadEntries(fstest.MapFS{"10-x.json": {Data: []byte(`{"Kind": "nothing"}`)}}, "")
	if err == nil || err.Error() != "read config entry 10-x.json: invalid config entry kind: nothing" {
		t.Errorf("error %v", err)
	}
}

// Every service has intentions, also one that nobody may call, and each ends with the denial of everybody else.
func TestEveryServiceDeniesEverybodyElse(t *testing.T) {
	denied := map[string]bool{}
	for _, entry := range registry.ConfigEntries(world(), "") {
		intentions, ok := entry.(*api.ServiceIntentionsConfigEntry)
		if !ok {
			continue
		}
		last := intentions.Sources[len(intentions.Sources)-1]
		denied[intentions.Name] = last.Name == "*" && last.Action == api.IntentionActionDeny
		for _, source := range intentions.Sources[:len(intentions.Sources)-1] {
			if n := len(source.Permissions); n > 0 && source.Permissions[n-1].Action != api.IntentionActionDeny {
				t.Errorf("%s -> %s does not end with a denial", source.Name, intentions.Name)
			}
		}
	}
	for _, name := range []string{"gateway", "shop", "stock", "postgres"} {
		if !denied[name] {
			t.Errorf("%s does not deny everybody else", name)
		}
	}
}

// Every caller's sidecar bounds what its readers can hold, the edge's too, towards every upstream
// of gRPC and towards no other.
func TestWindowsOfEveryUpstream(t *testing.T) {
	patched := map[string][]string{}
	for _, entry := range registry.ConfigEntries(world(), "") {
		defaults, ok := entry.(*api.ServiceConfigEntry)
		if !ok {
			continue
		}
		for _, extension := range defaults.EnvoyExtensions {
			if extension.Name != api.BuiltinPropertyOverrideExtension {
				continue
			}
			text, err := json.Marshal(extension.Arguments["Patches"])
			if err != nil {
				t.Fatal(err)
			}
			var patches []struct {
				Path           string
				ResourceFilter struct{ Services []struct{ Name string } }
			}
			if err := json.Unmarshal(text, &patches); err != nil {
				t.Fatal(err)
			}
			for _, patch := range patches {
				for _, service := range patch.ResourceFilter.Services {
					patched[defaults.Name+" to "+service.Name] = append(patched[defaults.Name+" to "+service.Name], patch.Path)
				}
			}
		}
	}
	paths := []string{"/typed_extension_protocol_options", "/http2_protocol_options", "/connection_pool_per_downstream_connection", "/common_http_protocol_options/idle_timeout/seconds"}
	if want := map[string][]string{"gateway to shop": paths, "shop to stock": paths}; !reflect.DeepEqual(patched, want) {
		t.Errorf("patched are the ways to %v, want %v", patched, want)
	}
}
