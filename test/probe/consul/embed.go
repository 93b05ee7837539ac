// Package consul is the mesh of the platform with the test service beside it; all but this file is generated.
package consul

import (
	"bytes"
	_ "embed"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

//go:embed mesh.json
var definition []byte

// Definition returns the mesh.
func Definition() (*mesh.Definition, error) { return mesh.Decode(bytes.NewReader(definition)) }
