package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/plan"
)

type databaseServeCommand struct {
	Data      string `required:"" help:"Folder of the data, made when there is none. The folder above it must be this user's." placeholder:"DIR"`
	Programs  string `required:"" help:"Folder of the programs postgres and initdb." placeholder:"DIR"`
	Instances int    `help:"Most instances of a program at a time, for max_connections: as database prepare is told." default:"2"`
	Mesh      string `help:"Folder of another mesh definition (mesh.json); the built-in one when empty." env:"GATEHOUSE_CLI_MESH" placeholder:"DIR"`
}

// Run becomes the server: the process is PostgreSQL's own, and so are the signals to it.
func (c *databaseServeCommand) Run(console *Console) error {
	if os.Geteuid() == 0 {
		return errors.New("PostgreSQL does not run as root: start this as another user, one that owns the folder of the data")
	}
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	cmd, err := c.server(ctx, console.Environ)
	release()
	if err != nil {
		return err
	}
	if err := os.Chdir(cmd.Dir); err != nil {
		return fmt.Errorf("enter the folder of the data: %w", err)
	}
	if err := syscall.Exec(cmd.Path, cmd.Args, cmd.Env); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return nil
}

// server makes the data, once, and returns the command that serves them.
func (c *databaseServeCommand) server(ctx context.Context, environ []string) (*exec.Cmd, error) {
	def, err := definition(c.Mesh)
	if err != nil {
		return nil, err
	}
	backing, err := def.Backing(mesh.Postgres)
	if err != nil {
		return nil, err
	}
	password, err := rolePassword(environ, pgserver.Superuser)
	if err != nil {
		return nil, err
	}
	if password.IsZero() {
		return nil, errors.New("the superuser has no password: set POSTGRES_PASSWORD_FILE to a file with one")
	}
	most := plan.Of(def).Instances(c.Instances).MaxConnections(environ)
	server := &pgserver.Server{
		BinDir: c.Programs, DataDir: c.Data, Port: backing.Port, Password: password,
		Settings: map[string]string{"max_connections": strconv.Itoa(most)},
	}
	if err := server.Init(ctx); err != nil {
		return nil, err
	}
	return server.Command()
}
