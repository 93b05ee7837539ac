package mesh_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

func TestConfigValidate(t *testing.T) {
	for offset, ok := range map[int]bool{0: true, 3000: true, mesh.MaxPortOffset: true, -1: false, mesh.MaxPortOffset + 1: false} {
		if err := (mesh.Config{PortOffset: offset}).Validate(); (err == nil) != ok {
			t.Errorf("port offset %d: %v", offset, err)
		}
	}
}
