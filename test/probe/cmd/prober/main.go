// Command prober is the caller of the end-to-end tests: a program whose sidecar they call through.
package main

import (
	"os"

	"github.com/gatehouse/gatehouse/test/probe"
	// The program's own contract must be linked, as that of every program is.
	_ "github.com/gatehouse/gatehouse/test/probe/gen/gatehouse/prober/v1"
)

func main() { os.Exit(probe.Main("prober")) }
