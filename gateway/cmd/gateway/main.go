// Command gateway is the public door: REST in front of the services of the mesh.
package main

import (
	"fmt"
	"os"

	"github.com/gatehouse/gatehouse/gateway/internal/app"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/fxmod"
)

func main() { os.Exit(run()) }

func run() int {
	var cli app.CLI
	command, err := config.Parse(app.Program, &cli, os.Args[1:], os.Environ(), os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", app.Program, err)
		return 1
	}
	if command.Command() == "version" {
		fmt.Println(app.Program, fxmod.Version())
		return 0
	}
	return fxmod.Run(app.New(cli.Serve))
}
