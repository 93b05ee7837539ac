package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
)

// auditOwnerCommand is a verb of the program audit for the owner of its schema, which the platform
// offers nobody over its API. It runs where the owner's URL is: beside the task keep, or on the
// machine of `gatehouse up`.
type auditOwnerCommand struct {
	Args []string `arg:"" optional:"" help:"As the program audit takes them; --help prints them."`
}

// Run runs the verb, which says everything itself. Where two platforms could be meant, none is.
func (c *auditOwnerCommand) Run(console *Console, line *kong.Context) error {
	args := append([]string{line.Selected().Name}, c.Args...)
	ctx, cancel := interruptible()
	defer cancel()
	folder := stateFlag{State: operator.Variable(console.Environ, "GATEHOUSE_CLI_STATE")}
	if folder.State == "" {
		folder.State = ".gatehouse"
	}
	cluster := operator.Variable(console.Environ, "NOMAD_ADDR")
	dir, _, def, err := folder.runningMesh()
	var exit int
	switch {
	case err == nil && cluster != "":
		return fmt.Errorf("a platform runs here with the state folder %s, and NOMAD_ADDR names a cluster: unset NOMAD_ADDR, or end the one that runs here", dir.Root())
	case cluster != "":
		exit, err = besideKeep(ctx, console, args)
	case err != nil:
		return fmt.Errorf("%w; or name the Nomad of a cluster in NOMAD_ADDR", err)
	default:
		exit, err = here(ctx, console, dir, def, args)
	}
	if err == nil && exit != 0 {
		err = exitError(exit)
	}
	return err
}

func besideKeep(ctx context.Context, console *Console, args []string) (int, error) {
	client, err := operator.Nomad(console.Environ)
	if err != nil {
		return 0, err
	}
	return operator.Beside(ctx, client, audit.Name, plan.Keep, args, console.Out, console.Err)
}

// here runs the program beside this one, for the platform that `up` has started.
func here(ctx context.Context, console *Console, dir state.Dir, def *mesh.Definition, args []string) (int, error) {
	program, err := plan.Of(def).Program(audit.Name)
	if err != nil {
		return 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(self), audit.Name), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = []string{"GATEHOUSE_POSTGRES_URL_FILE=" + dir.SecretPath(plan.URLFile(program.Database.Owner().Name))}
	cmd.Stdout, cmd.Stderr = console.Out, console.Err
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return 0, fmt.Errorf("run %s: %w", audit.Name, err)
	}
	if exit := cmd.ProcessState.ExitCode(); exit >= 0 {
		return exit, nil
	}
	return 1, nil // by a signal
}
