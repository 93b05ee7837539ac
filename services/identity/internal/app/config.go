package app

import (
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/pg"
)

// Config is everything that `identity serve` can be told. Identity has no options of its own.
type Config struct {
	Kernel   fxmod.Config `embed:""`
	Postgres pg.Config    `embed:""`
}

// MigrateConfig is everything that `identity migrate` can be told.
type MigrateConfig struct {
	Kernel   fxmod.Config `embed:""`
	Postgres pg.Config    `embed:""`
}
