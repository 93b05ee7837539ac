package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/request"
)

// EncodeEntry returns a config entry as `consul config read` prints it, without what the server counts (CreateIndex, ModifyIndex): with
// every default written out, so that Terraform sees no difference between the file and the server.
func EncodeEntry(entry api.ConfigEntry) ([]byte, error) {
	text, err := json.Marshal(entry)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", entry.GetKind(), entry.GetName(), err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", entry.GetKind(), entry.GetName(), err)
	}
	delete(fields, "CreateIndex")
	delete(fields, "ModifyIndex")
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(fields); err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", entry.GetKind(), entry.GetName(), err)
	}
	return out.Bytes(), nil
}

// EntryFile names the file of a config entry. Sorted by name, the files are in the order in which they must be written.
func EntryFile(entry api.ConfigEntry) string {
	order := map[string]string{api.ServiceDefaults: "10", api.ServiceResolver: "20", api.ServiceIntentions: "30"}
	return fmt.Sprintf("%s-%s-%s.json", order[entry.GetKind()], entry.GetKind(), entry.GetName())
}

// ReadEntries reads config entries from the .json files of a folder, in the order of their names.
// The files know programs; the entries have the names of their services in Consul.
func ReadEntries(folder fs.FS, prefix request.ServicePrefix) ([]api.ConfigEntry, error) {
	files, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, fmt.Errorf("read config entries: %w", err)
	}
	var entries []api.ConfigEntry
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".json") {
			continue
		}
		text, err := fs.ReadFile(folder, file.Name())
		if err != nil {
			return nil, fmt.Errorf("read config entries: %w", err)
		}
		entry, err := api.DecodeConfigEntryFromJSON(text)
		if err != nil {
			return nil, fmt.Errorf("read config entry %s: %w", file.Name(), err)
		}
		rename(entry, prefix)
		entries = append(entries, entry)
	}
	return entries, nil
}
