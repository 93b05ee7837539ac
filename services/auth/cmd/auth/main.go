// Command auth is the service that owns login identifiers, passwords, sessions and signing keys.
package main

import (
	"os"

	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/services/auth/internal/app"
)

type cli struct {
	Serve   app.Config           `cmd:"" default:"withargs" help:"Serve (the default)."`
	Migrate app.MigrateConfig    `cmd:"" help:"Bring the database schema to this program's version."`
	Recover app.RecoverConfig    `cmd:"" help:"Print a secret that makes an administrator when none is left: once, within 15 minutes."`
	Reseal  app.ResealConfig     `cmd:"" help:"Seal the stored signing keys with the new sealing key, once all instances have it beside the previous one."`
	Version program.PrintVersion `cmd:"" help:"Print the version."`
}

func main() { os.Exit(program.Main(app.Name, &cli{})) }
