// Package cli is the command line of gatehouse: one file per command, each a kong struct with its flags and a Run method. What a command
// does stands in the packages beside this one.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/visible"
)

// Console is the world a command runs in.
type Console struct {
	Args    []string // without the program's name
	Environ []string
	Out     io.Writer
	Err     io.Writer
	Version string
	Now     func() time.Time

	out, err io.Writer // as they are, where they are terminals
	plain    io.Writer // standard output as it is, for what other programs read
}

// commands is the whole command line.
type commands struct {
	Up       upCommand       `cmd:"" help:"Start the platform on this machine and stay; Ctrl-C ends it."`
	Down     downCommand     `cmd:"" help:"End what up started."`
	Status   statusCommand   `cmd:"" help:"Show what runs, where, and whether it is healthy."`
	Logs     logsCommand     `cmd:"" help:"Print the logs of all processes, or of one."`
	Env      envCommand      `cmd:"" help:"Print shell lines that point consul, curl and others at the platform."`
	Mesh     meshCommand     `cmd:"" help:"Verify the running mesh; compare who may call what."`
	Doctor   doctorCommand   `cmd:"" help:"Ask a site's Consul and Nomad whether Gatehouse can be installed there and is safe there; changes nothing."`
	Audit    auditCommand    `cmd:"" help:"Read the audit trail."`
	Users    usersCommand    `cmd:"" help:"Invite, import, suspend and restore users, or follow them."`
	Clients  clientsCommand  `cmd:"" help:"Register applications that people sign in to, and rotate their secrets."`
	Mail     mailCommand     `cmd:"" help:"Send a mail to see whether mail arrives; read the mails that a development platform keeps instead of sending them."`
	Cluster  clusterCommand  `cmd:"" help:"A development cluster: three hosts on this machine with Consul and Nomad."`
	Database databaseCommand `cmd:"" help:"Make what programs need on a PostgreSQL server."`
	Secrets  secretsCommand  `cmd:"" help:"Keep the secrets of all tasks in Nomad."`
	New      newCommand      `cmd:"" help:"Begin something new in a checkout of Gatehouse."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

// stateFlag names the state folder.
type stateFlag struct {
	State string `help:"State folder: data, secrets and logs of this platform." env:"GATEHOUSE_CLI_STATE" default:".gatehouse" placeholder:"DIR"`
}

func (f stateFlag) open() (state.Dir, error) { return state.Open(f.State) }

// running is the state folder and the record of the platform that runs with it; that none does is an error.
func (f stateFlag) running() (state.Dir, state.Record, error) {
	dir, err := f.open()
	if err != nil {
		return dir, state.Record{}, err
	}
	record, err := dir.Running()
	return dir, record, err
}

// runningMesh is running, with the definition of the mesh that the platform was started with.
func (f stateFlag) runningMesh() (state.Dir, state.Record, *mesh.Definition, error) {
	dir, record, err := f.running()
	if err != nil {
		return dir, record, nil, err
	}
	def, err := definition(record.Mesh)
	return dir, record, def, err
}

// exitError ends a command with an exit code after it has said everything itself.
type exitError int

// Error is never shown.
func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Main runs the command line and returns the exit code. A failure is one sentence on standard
// error. Whatever a command prints, the terminal obeys none of it: people's texts come in logs,
// events, refused calls and errors (R92).
func Main(console Console) int {
	console.out, console.err = terminal(console.Out, console.Environ), terminal(console.Err, console.Environ)
	console.plain = console.Out
	console.Out, console.Err = visible.NewWriter(console.Out), visible.NewWriter(console.Err)
	kong, err := config.Parse("gatehouse", &commands{}, console.Args, console.Environ, console.Out)
	failed := 1
	if err != nil {
		failed = misused(console.Args)
	} else {
		err = kong.Run(&console)
	}
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	default:
		fmt.Fprintf(console.Err, "gatehouse: %s\n", strings.NewReplacer("\n\t", " ", "\n", " ").Replace(err.Error())) // the driver's have lines
		return failed
	}
}

// printf writes to standard output. A reader that went away is its own business.
func (c *Console) printf(format string, args ...any) {
	fmt.Fprintf(c.Out, format, args...)
}

// definition loads the mesh from a folder with a mesh.json, or the built-in one.
func definition(folder string) (*mesh.Definition, error) {
	if folder == "" {
		return consul.Definition()
	}
	f, err := os.Open(filepath.Join(folder, "mesh.json"))
	if err != nil {
		return nil, fmt.Errorf("the mesh definition cannot be read: %w: name a folder with a generated mesh.json", err)
	}
	defer func() { _ = f.Close() }()
	return mesh.Decode(f)
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(console *Console) error {
	console.printf("gatehouse %s\n", console.Version)
	return nil
}
