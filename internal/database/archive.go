package database

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gatehouse/gatehouse/internal/config"
)

// Archive saves a database, and makes it again on another server, with PostgreSQL's own programs.
type Archive struct {
	Programs string        // folder of pg_dump and pg_restore, of the server's version
	Admin    config.Secret // URL of the server's superuser
	Database string
	Schemas  []string // of all programs
}

// Save is the command that writes everything in the database to its output, as of one moment. Roles
// and passwords are not part of it.
func (a Archive) Save(ctx context.Context) (*exec.Cmd, error) {
	return a.command(ctx, "pg_dump", "--format=custom")
}

// Load reads what Save has written and makes it in the database, all or nothing. Its roles and
// schemas have been made (Setup), and no program has been there yet: on a server where a database
// was before, cursors and consistency tokens of before would go on and miss what is not there any
// more.
func (a Archive) Load(ctx context.Context, from io.Reader) error {
	if err := a.fresh(ctx); err != nil {
		return err
	}
	cmd, err := a.command(ctx, "pg_restore", "--clean", "--if-exists", "--single-transaction", "--exit-on-error")
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = from, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pg_restore: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return nil
}

// fresh refuses a database in which a program has been.
func (a Archive) fresh(ctx context.Context) error {
	address, err := to(a.Admin, a.Database)
	if err != nil {
		return err
	}
	conn, err := connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	who, err := adminOf(ctx, conn)
	if err != nil {
		return err
	}
	if !who.super {
		return fmt.Errorf("role %s is no superuser, and only one gives each table to its owner: use the backups of whoever runs the server", who.name)
	}
	var schemas, tables int
	err = conn.QueryRow(ctx, `select (select count(*) from pg_namespace where nspname = any($1)), (select count(*) from pg_tables where schemaname = any($1))`, a.Schemas).
		Scan(&schemas, &tables)
	switch {
	case err != nil:
		return fmt.Errorf("look for tables: %w", err)
	case schemas < len(a.Schemas):
		return fmt.Errorf("the database %s has not the schemas of all programs: run `gatehouse database prepare` first", a.Database)
	case tables > 0:
		return fmt.Errorf("the database %s holds %d tables of programs: end the programs, and restore into a new server", a.Database, tables)
	}
	return nil
}

// command is one of the programs, which connects by what it is given here alone: neither libpq's
// variables nor files of whoever runs it count.
func (a Archive) command(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath(filepath.Join(a.Programs, program)) // in PATH without a folder
	if err != nil {
		return nil, fmt.Errorf("%w: install PostgreSQL's client programs of the server's version, or name their folder with --programs", err)
	}
	u, err := url.Parse(a.Admin.Reveal())
	if err != nil || u.User.Username() == "" || u.Host == "" {
		return nil, errors.New("the URL of the server cannot be read")
	}
	password, _ := u.User.Password()
	u.User, u.Path = url.User(u.User.Username()), "/"+a.Database
	cmd := exec.CommandContext(ctx, path, append(args, "--no-password", "--dbname="+u.String())...)
	cmd.Env = []string{"PGPASSWORD=" + password, "LC_ALL=C", "HOME=" + os.DevNull}
	return cmd, nil
}
