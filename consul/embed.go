// Package consul holds Consul's side of the platform: the mesh definition with its sources and the config entries, all generated from the protos
// (buf generate) and never edited by hand.
package consul

import (
	"bytes"
	"embed"
	"io/fs"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

//go:embed mesh.json
var definition []byte

//go:embed sources.json
var sources []byte

//go:embed config-entries/*.json
var entries embed.FS

//go:embed mesh-entry.json
var meshEntry []byte

//go:embed proxy-defaults-entry.json
var proxyDefaults []byte

// MeshEntry is the entry that holds for every sidecar of a datacenter (R77, R78). A site has one, and
// it is the site's own: nothing but the development cluster writes it.
func MeshEntry() []byte { return meshEntry }

// ProxyDefaultsEntry is the entry by which every sidecar of a datacenter logs calls, for
// `gatehouse mesh denied`. It is the site's own, too.
func ProxyDefaultsEntry() []byte { return proxyDefaults }

// Definition returns the mesh of this build: programs, ports and allowed calls.
func Definition() (*mesh.Definition, error) {
	return mesh.Decode(bytes.NewReader(definition))
}

// Sources returns where the contracts of this build state what the definition has.
func Sources() (*mesh.Sources, error) {
	return mesh.DecodeSources(bytes.NewReader(sources))
}

// ConfigEntries returns the files of the config entries. Read in the order of their names
// (registry.ReadEntries), they may be written to Consul one after the other.
func ConfigEntries() fs.FS {
	folder, err := fs.Sub(entries, "config-entries")
	if err != nil {
		panic(err) // only an invalid path is an error, and this one is a constant
	}
	return folder
}
