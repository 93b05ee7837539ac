package e2e_test

import (
	"slices"
	"testing"

	consuldefinition "github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// programs are all of the platform.
func programs(t testing.TB) []mesh.Program {
	t.Helper()
	definition, err := consuldefinition.Definition()
	if err != nil {
		t.Fatal(err)
	}
	return definition.Programs
}

// stores are the programs with a database.
func stores(t testing.TB) []string {
	t.Helper()
	var names []string
	for _, p := range programs(t) {
		if _, err := p.Upstream(mesh.Postgres); err == nil {
			names = append(names, p.Name)
		}
	}
	return names
}

// roles are those of the programs with a database, and those that own what a program serves.
func roles(t testing.TB) []string {
	t.Helper()
	names := stores(t)
	for _, p := range programs(t) {
		if p.Database != nil && p.Database.Owner != "" {
			names = append(names, p.Database.Owner)
		}
	}
	return slices.Sorted(slices.Values(names))
}
