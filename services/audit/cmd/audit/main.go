// Command audit is the service that keeps the trail of everything that happened.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/services/audit/internal/app"
)

type cli struct {
	Serve   app.Config        `cmd:"" default:"withargs" help:"Serve (the default)."`
	Migrate app.MigrateConfig `cmd:"" help:"Bring the database schema to this program's version, as its owner."`
	Version struct{}          `cmd:"" help:"Print the version."`
}

func main() { os.Exit(run()) }

func run() int {
	var c cli
	verb, err := config.Parse(app.Name, &c, os.Args[1:], os.Environ(), os.Stdout)
	if err == nil && verb.Command() == "serve" {
		return fxmod.Run(app.New(c.Serve))
	}
	if err == nil && verb.Command() == "migrate" {
		err = app.Migrate(context.Background(), c.Migrate)
	} else if err == nil {
		_, err = fmt.Println(fxmod.Version())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
