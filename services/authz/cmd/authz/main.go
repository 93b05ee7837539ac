// Command authz is the service that owns relationships and answers who may do what.
package main

import (
	"os"

	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/services/authz/internal/app"
)

type cli struct {
	Serve   app.Config           `cmd:"" default:"withargs" help:"Serve (the default)."`
	Migrate app.MigrateConfig    `cmd:"" help:"Bring the database schema to this program's version."`
	Version program.PrintVersion `cmd:"" help:"Print the version."`
}

func main() { os.Exit(program.Main(app.Name, &cli{})) }
