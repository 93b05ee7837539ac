package app

import (
	"fmt"

	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/pg"
)

// Config is everything that `authz serve` can be told.
type Config struct {
	Kernel   fxmod.Config `embed:""`
	Postgres pg.Config    `embed:""`
	Engine   EngineConfig `embed:""`
}

// EngineConfig is the option group of the relationship engine.
type EngineConfig struct {
	MaxConns int32 `name:"authz-engine-max-conns" env:"GATEHOUSE_AUTHZ_ENGINE_MAX_CONNS" default:"20" help:"Most connections of the relationship engine at a time, beside those of the program itself."`
}

// Validate reports contradictions.
func (c EngineConfig) Validate() error {
	if c.MaxConns < 2 || c.MaxConns > 1000 {
		return fmt.Errorf("GATEHOUSE_AUTHZ_ENGINE_MAX_CONNS is %d: set it to 2 to 1000", c.MaxConns)
	}
	return nil
}

// MigrateConfig is everything that `authz migrate` can be told.
type MigrateConfig struct {
	Kernel   fxmod.Config `embed:""`
	Postgres pg.Config    `embed:""`
}
