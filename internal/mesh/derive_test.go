package mesh_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

// What programs link and what they read of the mesh say the same.
func TestTheDefinitionFollowsFromTheLinkedContracts(t *testing.T) {
	c := meshtest.Contract(t)
	want := meshtest.Definition(t)
	if diff := cmp.Diff(want, mesh.Derive(c)); diff != "" {
		t.Errorf("consul/mesh.json is another mesh (-file +linked):\n%s", diff)
	}
	edge, err := want.Edge()
	if err != nil || !edge.Edge {
		t.Errorf("the edge is %+v, %v", edge, err)
	}
	if _, err := (&mesh.Definition{}).Edge(); err == nil {
		t.Error("a mesh without an edge has one")
	}
}
