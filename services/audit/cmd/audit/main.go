// Command audit is the service that keeps the trail of everything that happened.
package main

import (
	"os"

	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/services/audit/internal/app"
)

type cli struct {
	Serve   app.Config           `cmd:"" default:"withargs" help:"Serve (the default)."`
	Migrate app.MigrateConfig    `cmd:"" help:"Bring the database schema to this program's version, as its owner."`
	Version program.PrintVersion `cmd:"" help:"Print the version."`
}

func main() { os.Exit(program.Main(app.Name, &cli{})) }
