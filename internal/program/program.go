// Package program is the main function that all programs share, and their version.
//
// A program is a kong struct with one field for each verb; what a verb does is the Run method of
// its struct (internal/app). Only main functions and wiring import this package.
package program

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/gatehouse/gatehouse/internal/config"
)

// Process is what the Run method of a verb may take: the program's name and where its output goes.
type Process struct {
	Name           string
	Stdout, Stderr io.Writer
}

// ExitCode is the error of a program that ends with this code and has already said why.
type ExitCode int

// Error says the code.
func (c ExitCode) Error() string { return "exit code " + strconv.Itoa(int(c)) }

// Main runs a program and returns its exit code. It fills cli, a pointer to a struct with one field
// for each verb, from the command line and the environment, and calls the Run method of the verb.
// Why that failed goes to stderr in one sentence, after the program's name.
func Main(name string, cli any) int {
	p := Process{Name: name, Stdout: os.Stdout, Stderr: os.Stderr}
	return p.run(cli, os.Args[1:], os.Environ())
}

func (p Process) run(cli any, args, environ []string) int {
	command, err := config.Parse(p.Name, cli, args, environ, p.Stdout)
	if err == nil {
		err = command.Run(p)
	}
	var code ExitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(p.Stderr, "%s: %v\n", p.Name, err)
	return 1
}
