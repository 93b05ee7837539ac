package app

import (
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/pg"
)

// Config is everything that `audit serve` can be told. Audit has no options of its own.
type Config struct {
	Kernel   fxmod.Config `embed:""`
	Postgres pg.Config    `embed:""`
}

// MigrateConfig is everything that `audit migrate` can be told. Its database URL is that of the
// schema's owner, not of the role that serves.
type MigrateConfig struct {
	Kernel   fxmod.Config `embed:""`
	Postgres pg.Config    `embed:""`
}
