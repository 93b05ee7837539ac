// Command gateway is the public door: REST in front of the services of the mesh.
package main

import (
	"os"

	"github.com/gatehouse/gatehouse/gateway/internal/app"
	"github.com/gatehouse/gatehouse/internal/program"
)

func main() { os.Exit(program.Main(app.Program, &app.CLI{})) }
