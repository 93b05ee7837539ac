package app

import (
	"fmt"

	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/pg"
)

// Config is everything that `identity serve` can be told.
type Config struct {
	Kernel   fxmod.Config `embed:""`
	Postgres pg.Config    `embed:""`
	Quota    QuotaConfig  `embed:""`
}

// QuotaConfig is the option group of what a tenant may own (R95).
type QuotaConfig struct {
	PersonalUsers int `name:"identity-personal-users" env:"GATEHOUSE_IDENTITY_PERSONAL_USERS" default:"50" help:"Users that the organization of somebody who signed up may have, in whatever state. Administrators of the platform may add more."`
}

// Validate reports contradictions.
func (c QuotaConfig) Validate() error {
	if c.PersonalUsers < 1 {
		return fmt.Errorf("GATEHOUSE_IDENTITY_PERSONAL_USERS is %d: set it to 1 or more", c.PersonalUsers)
	}
	return nil
}

// MigrateConfig is everything that `identity migrate` can be told.
type MigrateConfig struct {
	Kernel   fxmod.Config `embed:""`
	Postgres pg.Config    `embed:""`
}
