package config_test

import (
	"io"
	"testing"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/pg"
)

// A program accepts the variables of every option group of the kernel, also of those that it has no use for, so that one environment
// serves all programs of a machine.
func TestAProgramAcceptsTheVariablesOfAllKernelGroups(t *testing.T) {
	var kernel struct {
		Common   fxmod.Config `embed:""`
		Postgres pg.Config    `embed:""`
	}
	names, err := config.Names("kernel", &kernel)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 15 {
		t.Fatalf("only %v", names)
	}
	for _, name := range names {
		var none struct{}
		if _, err := config.Parse("other", &none, nil, []string{name + "=x"}, io.Discard); err != nil {
			t.Errorf("%v: run make generate", err)
		}
	}
}
