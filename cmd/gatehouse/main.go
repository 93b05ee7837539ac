// Command gatehouse runs and inspects a platform: up, down, status, logs, env, mesh.
package main

import (
	"os"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cli"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(cli.Main(cli.Console{
		Args: os.Args[1:], Environ: os.Environ(), Out: os.Stdout, Err: os.Stderr, Version: version, Now: time.Now,
	}))
}
