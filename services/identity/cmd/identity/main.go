// Command identity is the service that owns organizations, users and their profiles.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/services/identity/internal/app"
)

func main() { os.Exit(run()) }

func run() int {
	var cli app.CLI
	command, err := config.Parse(app.Program, &cli, os.Args[1:], os.Environ(), os.Stdout)
	if err == nil {
		switch command.Command() {
		case "migrate":
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			err = app.Migrate(ctx, cli.Migrate, os.Stderr)
		case "version":
			_, err = fmt.Println(app.Program, fxmod.Version())
		default:
			return fxmod.Run(app.New(cli.Serve))
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", app.Program, err)
		return 1
	}
	return 0
}
