package consul_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// The entries follow from the definition, and none is left over from a program that is gone.
func TestEntriesFollowFromTheDefinition(t *testing.T) {
	definition, err := consul.Definition()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, entry := range registry.ConfigEntries(definition, "") {
		text, err := registry.EncodeEntry(entry)
		if err != nil {
			t.Fatal(err)
		}
		want[registry.EntryFile(entry)] = string(text)
	}
	if diff := cmp.Diff(want, committed(t)); diff != "" {
		t.Errorf("config-entries is not what mesh.json says: run buf generate and remove what is left over (-want +got):\n%s", diff)
	}
}

// Consul accepts the entries one after the other and gives back what the files hold, so that Terraform sees no difference.
func TestConsulKeepsTheEntriesAsWritten(t *testing.T) {
	client := consultest.New(t)
	entries, err := registry.ReadEntries(consul.ConfigEntries(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if _, _, err := client.ConfigEntries().Set(entry, nil); err != nil {
			t.Fatalf("write %s %s: %v", entry.GetKind(), entry.GetName(), err)
		}
	}
	files := committed(t)
	for _, entry := range entries {
		name := registry.EntryFile(entry)
		kept, _, err := client.ConfigEntries().Get(entry.GetKind(), entry.GetName(), nil)
		if err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
		text, err := json.Marshal(kept)
		if err != nil {
			t.Fatal(err)
		}
		got := object(t, string(text))
		for _, counted := range []string{"CreateIndex", "ModifyIndex", "Hash"} {
			delete(got, counted)
		}
		if diff := cmp.Diff(object(t, files[name]), got); diff != "" {
			t.Errorf("%s: Consul keeps something else (-file +consul):\n%s", name, diff)
		}
		delete(files, name)
	}
	if len(files) > 0 {
		t.Errorf("never written: %v", slices.Sorted(maps.Keys(files)))
	}
}

func committed(t *testing.T) map[string]string {
	t.Helper()
	folder := consul.ConfigEntries()
	names, err := fs.Glob(folder, "*")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return files
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&fields); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return fields
}
