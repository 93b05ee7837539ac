// Command audit is the service that keeps the trail of everything that happened.
package main

import (
	"os"

	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/services/audit/internal/app"
)

type cli struct {
	Serve     app.Config           `cmd:"" default:"withargs" help:"Serve (the default)."`
	Migrate   app.MigrateConfig    `cmd:"" help:"Bring the database schema to this program's version, as its owner."`
	Keep      app.KeepConfig       `cmd:"" help:"Make the months of the trail ahead and remove the events whose retention is over, as the schema's owner."`
	Retention app.RetentionCommand `cmd:"" help:"How long events are kept, as the schema's owner."`
	Hold      app.HoldCommand      `cmd:"" help:"Keep events from retention and erasure, as the schema's owner."`
	Erase     app.EraseConfig      `cmd:"" help:"Erase the personal values of a user, or of a mail address, from the trail, as the schema's owner."`
	Version   program.PrintVersion `cmd:"" help:"Print the version."`
}

func main() { os.Exit(program.Main(app.Name, &cli{})) }
