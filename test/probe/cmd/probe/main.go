// Command probe is the callee of the end-to-end tests.
package main

import (
	"os"

	"github.com/gatehouse/gatehouse/test/probe"
)

func main() { os.Exit(probe.Main("probe", probe.Service())) }
