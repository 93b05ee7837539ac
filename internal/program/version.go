package program

import (
	"fmt"
	"runtime/debug"
)

// version is set by the linker (Makefile).
var version string

// Version is the version of the build: what the Makefile said, else the module's tag or
// pseudo-version, else "devel".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// PrintVersion is the verb `version`.
type PrintVersion struct{}

// Run prints the program's name and version on one line.
func (PrintVersion) Run(p Process) error {
	_, err := fmt.Fprintln(p.Stdout, p.Name, Version())
	return err
}
