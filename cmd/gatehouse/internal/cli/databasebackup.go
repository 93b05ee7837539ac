package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/plan"
)

// archiveFlags say which database, and with which programs.
type archiveFlags struct {
	PostgresURL config.Secret `name:"postgres-url" help:"The server's superuser; without one, the server of the job in whose allocation this runs. Without a password in it, POSTGRES_PASSWORD[_FILE] counts. Prefer the _FILE variable: a command line is public." env:"GATEHOUSE_POSTGRES_URL" placeholder:"URL"`
	Programs    string        `help:"Folder of the programs pg_dump and pg_restore, of the server's version; those on PATH when empty." placeholder:"DIR"`
	Mesh        string        `help:"Folder of another mesh definition (mesh.json); the built-in one when empty." env:"GATEHOUSE_CLI_MESH" placeholder:"DIR"`
}

type databaseBackupCommand struct {
	archiveFlags `embed:""`
}

type databaseRestoreCommand struct {
	archiveFlags `embed:""`
}

// Run becomes pg_dump: what it writes goes where this process' output goes, byte by byte.
func (c *databaseBackupCommand) Run(console *Console) error {
	archive, err := c.archive(console.Environ)
	if err != nil {
		return err
	}
	cmd, err := archive.Save(context.Background())
	if err != nil {
		return err
	}
	if info, err := os.Stdout.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return errors.New("a backup is not for a terminal: write it to a file with > that only its owner may read")
	}
	if err := syscall.Exec(cmd.Path, cmd.Args, cmd.Env); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return nil
}

// Run makes what the backup on standard input holds.
func (c *databaseRestoreCommand) Run(console *Console) error { return c.restore(console, os.Stdin) }

func (c *databaseRestoreCommand) restore(console *Console, from io.Reader) error {
	archive, err := c.archive(console.Environ)
	if err != nil {
		return err
	}
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer release()
	if err := archive.Load(ctx, from); err != nil {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	console.printf("the database %s is what the backup holds\n", archive.Database)
	return nil
}

// archive is what the flags name.
func (c *archiveFlags) archive(environ []string) (database.Archive, error) {
	def, err := definition(c.Mesh)
	if err != nil {
		return database.Archive{}, err
	}
	archive := database.Archive{Programs: c.Programs, Database: plan.DatabaseName}
	for _, program := range plan.Of(def).Programs {
		if program.Database != nil {
			archive.Schemas = append(archive.Schemas, program.Database.Schemas...)
		}
	}
	address := c.PostgresURL
	if address.IsZero() {
		backing, err := def.Backing(mesh.Postgres)
		if err != nil {
			return archive, err
		}
		address = (&pgserver.Server{Port: backing.Port}).URL(pgserver.Superuser, config.Secret{}, "postgres")
	}
	archive.Admin, err = withPassword(address, environ)
	return archive, err
}
