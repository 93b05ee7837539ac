package platform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// superuserPassword is the secret file of our own server's superuser.
const superuserPassword = "postgres-superuser.password" //nolint:gosec // the name of a file

// startPostgres starts our own server, unless the operator has one, and makes the database and the role of each program.
func (p *Platform) startPostgres(ctx context.Context) error {
	begun := p.opts.Now()
	admin, what, err := p.superuser(ctx)
	if err != nil {
		return err
	}
	programs, err := p.databases()
	if err != nil {
		return err
	}
	if p.opts.PostgresURL != "" {
		if err := p.claim(ctx, admin, programs); err != nil {
			return fmt.Errorf("the server of GATEHOUSE_POSTGRES_URL cannot be used: %w", err)
		}
	} else if err := database.CloseServer(ctx, admin(postgresDatabase)); err != nil {
		return err
	}
	if err := database.EnsureDatabase(ctx, admin(postgresDatabase), plan.DatabaseName); err != nil {
		return err
	}
	owner := admin(plan.DatabaseName)
	if p.opts.PostgresURL == "" { // what everybody may call on another server is its operator's decision
		if err := database.CloseFunctions(ctx, owner); err != nil {
			return err
		}
	}
	if err := database.Make(ctx, owner, programs...); err != nil {
		return err
	}
	p.took(begun, "%s", what)
	return nil
}

// postgresDatabase is the maintenance database that every server has.
const postgresDatabase = "postgres"

// superuser returns how to reach any database as the superuser, and what server it is, which it starts when it is ours.
func (p *Platform) superuser(ctx context.Context) (address func(database string) config.Secret, what string, err error) {
	if p.opts.PostgresURL != "" {
		return p.operatorsServer()
	}
	server, version, err := p.ownServer(ctx)
	if err != nil {
		return nil, "", err
	}
	where := net.JoinHostPort("127.0.0.1", strconv.Itoa(server.Port))
	p.update(func(r *state.Record) { r.Postgres = where })
	process := p.group.Start(supervise.Spec{
		Name: state.PostgresProcess, Stage: stagePostgres, Log: p.opts.Dir.Log(state.PostgresProcess),
		Command:     func() (*exec.Cmd, error) { return server.Command() },
		StopSignal:  syscall.SIGINT,  // rolls back and closes; SIGTERM would wait for the clients
		DeathSignal: syscall.SIGQUIT, // its own children must get word; the next start recovers
	})
	err = p.await(ctx, process, "PostgreSQL", func(ctx context.Context) error {
		err := database.Ask(ctx, server.SuperURL(postgresDatabase))
		if database.Refused(err) {
			return permanent{fmt.Errorf("it refuses its superuser (%w): bring back %s and %s as they were together, from a backup, or remove both to start anew",
				err, p.opts.Dir.SecretPath(superuserPassword), server.DataDir)}
		}
		return err
	})
	return server.SuperURL, "PostgreSQL " + version + " on " + where, err
}

// ownServer finds or fetches the server's programs and makes its data folder.
func (p *Platform) ownServer(ctx context.Context) (*pgserver.Server, string, error) {
	dataDir, err := pgserver.DataDir(p.opts.Dir.Named())
	if err != nil {
		return nil, "", err
	}
	if err := p.setAsideOrphan(dataDir); err != nil {
		return nil, "", err
	}
	binDir, version, err := pgserver.Locate(ctx, dataDir, progressWriter{p.opts.Progress})
	if err != nil {
		return nil, "", err
	}
	password, err := p.opts.Dir.Secret(superuserPassword, state.Password)
	if err != nil {
		return nil, "", err
	}
	server := &pgserver.Server{BinDir: binDir, DataDir: dataDir, Port: mesh.PostgresPort + p.opts.Offset, Password: config.NewSecret(password)}
	server.Settings = map[string]string{"max_connections": strconv.Itoa(p.plan.MaxConnections(p.opts.Environ))}
	return server, version, server.Init(ctx)
}

// setAsideOrphan moves away a data folder outside of the state folder (see pgserver.DataDir) whose state folder is gone, and with it
// the superuser's password.
func (p *Platform) setAsideOrphan(dataDir string) error {
	if strings.HasPrefix(dataDir, p.opts.Dir.Root()+"/") {
		return nil
	}
	_, password := os.Stat(p.opts.Dir.SecretPath(superuserPassword))
	_, data := os.Stat(dataDir)
	if !errors.Is(password, fs.ErrNotExist) || data != nil {
		return nil //nolint:nilerr // the errors answer whether the files exist
	}
	aside := fmt.Sprintf("%s.orphan-%s", dataDir, p.opts.Now().UTC().Format("20060102T150405"))
	if err := os.Rename(dataDir, aside); err != nil {
		return fmt.Errorf("set aside the data of a state folder that is gone: %w", err)
	}
	p.opts.Progress("the data of an earlier state folder at this path are now in %s", aside)
	return nil
}

// operatorsServer is a server that we do not run.
func (p *Platform) operatorsServer() (address func(string) config.Secret, what string, err error) {
	host, port, err := databaseAddress(p.opts.PostgresURL)
	if err != nil {
		return nil, "", err
	}
	u, err := url.Parse(p.opts.PostgresURL)
	if err != nil {
		return nil, "", errors.New("GATEHOUSE_POSTGRES_URL is not a URL: write postgres://superuser:password@host:5432/postgres")
	}
	where := net.JoinHostPort(host, strconv.Itoa(port))
	p.update(func(r *state.Record) { r.Postgres = where })
	return func(name string) config.Secret {
		target := *u
		target.Path = "/" + name
		return config.NewSecret(target.String())
	}, "the operator's PostgreSQL on " + where, nil
}

// urlThroughMesh is the database as a program sees it: a port of its own sidecar. The mesh encrypts; a server that insists on TLS of
// its own gets that inside.
func (p *Platform) urlThroughMesh(port int, role, password string) string {
	mode := "disable"
	if u, err := url.Parse(p.opts.PostgresURL); err == nil {
		if asked := u.Query().Get("sslmode"); asked == "require" || strings.HasPrefix(asked, "verify-") {
			mode = "require"
		}
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: p.address(port), Path: "/" + plan.DatabaseName, RawQuery: "sslmode=" + mode}
	return u.String()
}

// admitBackings says in Consul that the backing services, which were just seen working, may get traffic.
func (p *Platform) admitBackings(ctx context.Context) error {
	for _, backing := range p.backings() {
		if err := p.admit(ctx, backing); err != nil {
			return err
		}
	}
	return nil
}

// progressWriter turns what is written into progress lines.
type progressWriter struct {
	progress func(format string, args ...any)
}

func (w progressWriter) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		w.progress("%s", strings.TrimSpace(line))
	}
	return len(text), nil
}

// migrateTimeout bounds a migration, the wait for the database included.
const migrateTimeout = 5 * time.Minute
