// Command gatehouse runs and inspects a platform: up, down, status, logs, env, mesh.
package main

import (
	"os"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cli"
)

// version is set by the linker.
var version = "dev"

func main() {
	environ := os.Environ()
	for _, pair := range environ {
		// What `gatehouse env` of another platform has exported must not reach this one's Consul client, which reads it by
		// itself. Who asks what they name (package target) reads them from the console.
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "CONSUL_") {
			_ = os.Unsetenv(name) // fails only for impossible names
		}
	}
	os.Exit(cli.Main(cli.Console{
		Args: os.Args[1:], Environ: environ, Out: os.Stdout, Err: os.Stderr, Version: version, Now: time.Now,
	}))
}
