package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/owned"
	"github.com/gatehouse/gatehouse/internal/plan"
)

type databaseCommand struct {
	Serve   databaseServeCommand   `cmd:"" help:"Be a PostgreSQL server for this platform alone, as a job of a scheduler: the data are made when there are none."`
	Backup  databaseBackupCommand  `cmd:"" help:"Write everything in the database to standard output, as of one moment."`
	Restore databaseRestoreCommand `cmd:"" help:"Make what a backup on standard input holds, on a server that was just prepared."`
	Prepare databasePrepareCommand `cmd:"" help:"Make the database, roles and schemas of all programs on a PostgreSQL server, or bring them back to what they should be; it may run again."`
}

type databasePrepareCommand struct {
	PostgresURL config.Secret `name:"postgres-url" help:"Who makes the roles and schemas: a superuser, or a role with CREATEDB and CREATEROLE. Without a password in it, that of <ROLE>_PASSWORD[_FILE] counts, as for the roles that are made. Prefer the _FILE variable: a command line is public." env:"GATEHOUSE_POSTGRES_URL" placeholder:"URL"`
	Platform    string        `help:"Name that marks what this platform has on the server: what bears another name is refused." env:"GATEHOUSE_CLI_PLATFORM" default:"gatehouse" placeholder:"NAME"`
	Passwords   string        `help:"File, this user's alone, with a line <ROLE>_PASSWORD=<password> for each role; those of the variables when empty." env:"GATEHOUSE_CLI_PASSWORDS_FILE" placeholder:"FILE"`
	Instances   int           `help:"Most instances of a program at a time, for the connection limits of the roles: twice its count where a deployment starts all before it ends the others." default:"2"`
	OwnServer   bool          `help:"The server is for this platform alone: close what PostgreSQL leaves open to every role. As its superuser only."`
	Wait        time.Duration `help:"Longest time to wait for the server to answer." env:"GATEHOUSE_POSTGRES_WAIT" default:"60s"`
	Stay        bool          `help:"When all is made, stay until told to stop: for a scheduler that starts this again when a password has changed."`
	Print       bool          `help:"Print a script for psql that does the same, and do nothing. It holds no password."`
	Mesh        string        `help:"Folder of another mesh definition (mesh.json); the built-in one when empty." env:"GATEHOUSE_CLI_MESH" placeholder:"DIR"`
}

// Run makes them, or prints how.
func (c *databasePrepareCommand) Run(console *Console) error {
	def, err := definition(c.Mesh)
	if err != nil {
		return err
	}
	environ, err := c.environ(console.Environ)
	if err != nil {
		return err
	}
	programs, err := database.Of(plan.Of(def).Instances(c.Instances), environ, func(role string) (config.Secret, error) {
		if c.Print {
			return config.Secret{}, nil
		}
		return rolePassword(environ, role)
	})
	if err != nil {
		return err
	}
	setup := database.Setup{Platform: c.Platform, Database: plan.DatabaseName, Programs: programs, OwnServer: c.OwnServer}
	if c.Print {
		return setup.Script(console.Out)
	}
	admin, err := c.admin(environ)
	if err != nil {
		return err
	}
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer release()
	if err := c.await(ctx, console, admin); err != nil {
		return err
	}
	if err := setup.Run(ctx, admin); err != nil {
		return fmt.Errorf("the database was not prepared: %w", err)
	}
	console.printf("the database %s has the roles and schemas of %d programs\n", plan.DatabaseName, len(programs))
	if c.Stay {
		<-ctx.Done()
	}
	return nil
}

// environ is the environment, and the lines of the file with passwords after it.
func (c *databasePrepareCommand) environ(environ []string) ([]string, error) {
	if c.Passwords == "" || c.Print {
		return environ, nil
	}
	content, err := readPrivate(c.Passwords)
	if err != nil {
		return nil, fmt.Errorf("the passwords cannot be read: %w", err)
	}
	all := slices.Clone(environ)
	for i, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSuffix(line, "\r")
		variable, _, ok := strings.Cut(line, "=")
		switch {
		case line == "":
		case !ok || !strings.HasSuffix(variable, "_PASSWORD"):
			return nil, fmt.Errorf("line %d of %s is not <ROLE>_PASSWORD=<password>: correct it", i+1, c.Passwords)
		default:
			all = append(all, line)
		}
	}
	return all, nil
}

// readPrivate reads a file that is this user's and nobody else's to read (R88).
func readPrivate(path string) ([]byte, error) {
	f, err := owned.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s is open to others (mode %04o): close it with `chmod 600`, and make passwords that somebody may have read anew", path, mode)
	}
	return io.ReadAll(f)
}

// admin is the URL of the role that makes the others, with its password.
func (c *databasePrepareCommand) admin(environ []string) (config.Secret, error) {
	return withPassword(c.PostgresURL, environ)
}

// withPassword is a URL with the password of its role: its own, or that of the role's variable.
func withPassword(address config.Secret, environ []string) (config.Secret, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil || u.User.Username() == "" || u.Host == "" {
		return config.Secret{}, errors.New("the server is not named: set GATEHOUSE_POSTGRES_URL_FILE, or GATEHOUSE_POSTGRES_URL, to postgres://role:password@host:5432/postgres")
	}
	if password, _ := u.User.Password(); password != "" {
		return address, nil
	}
	password, err := rolePassword(environ, u.User.Username())
	if err != nil || password.IsZero() {
		return address, err
	}
	u.User = url.UserPassword(u.User.Username(), password.Reveal())
	return config.NewSecret(u.String()), nil
}

// await waits until the server answers, unless it says that it will not let us in.
func (c *databasePrepareCommand) await(ctx context.Context, console *Console, admin config.Secret) error {
	until := console.Now().Add(c.Wait)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		err := database.Ask(ctx, admin)
		switch {
		case err == nil:
			return nil
		case database.Refused(err):
			return fmt.Errorf("the server lets nobody in by GATEHOUSE_POSTGRES_URL: correct the role, its password or the database: %w", err)
		case !console.Now().Before(until):
			return fmt.Errorf("the server of GATEHOUSE_POSTGRES_URL has not answered for %s: start it, or correct the URL: %w", c.Wait, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("stopped before the server answered")
		}
	}
}

// rolePassword is the password of a role by its variable, or in the file that its variable names;
// none when neither is set.
func rolePassword(environ []string, role string) (config.Secret, error) {
	variable := database.PasswordVariable(role)
	password, path := value(environ, variable), value(environ, variable+"_FILE")
	switch {
	case password != "" && path != "":
		return config.Secret{}, fmt.Errorf("%s and %s_FILE are both set: unset one of them", variable, variable)
	case path == "":
		return config.NewSecret(password), nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return config.Secret{}, fmt.Errorf("%s_FILE: %w: create the file or correct the path", variable, err)
	}
	return config.NewSecret(strings.TrimRight(string(content), "\r\n")), nil
}

// value is that of a variable; the last one counts, as in a process.
func value(environ []string, variable string) string {
	for _, pair := range slices.Backward(environ) {
		if text, ok := strings.CutPrefix(pair, variable+"="); ok {
			return text
		}
	}
	return ""
}
