// Package meshtest gives tests what programs are wired with: the contracts that are linked, and the
// committed definition of the mesh.
package meshtest

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Contract returns the contracts of the generated packages that the test links.
func Contract(t testing.TB) *contract.Contract {
	t.Helper()
	c, err := contract.Load(protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Definition returns the definition of the mesh.
func Definition(t testing.TB) *mesh.Definition {
	t.Helper()
	d, err := consul.Definition()
	if err != nil {
		t.Fatal(err)
	}
	return d
}
