// Command auth is the service that owns login identifiers, passwords, sessions and signing keys.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/services/auth/internal/app"
)

type cli struct {
	Serve   app.Config        `cmd:"" default:"withargs" help:"Serve (the default)."`
	Migrate app.MigrateConfig `cmd:"" help:"Bring the database schema to this program's version."`
	Recover app.RecoverConfig `cmd:"" help:"Print a secret that makes an administrator when none is left: once, within 15 minutes."`
	Version struct{}          `cmd:"" help:"Print the version."`
}

func main() {
	var c cli
	verb, err := config.Parse(app.Name, &c, os.Args[1:], os.Environ(), os.Stdout)
	switch {
	case err != nil:
	case verb.Command() == "serve":
		os.Exit(fxmod.Run(app.New(c.Serve)))
	case verb.Command() == "migrate":
		err = app.Migrate(context.Background(), c.Migrate)
	case verb.Command() == "recover":
		err = app.Recover(context.Background(), c.Recover, os.Stdout, os.Stderr)
	default:
		_, err = fmt.Println(fxmod.Version())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
