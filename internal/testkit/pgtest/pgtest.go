// Package pgtest gives tests a real PostgreSQL: a fresh, migrated database for each test, cloned from a template in a few milliseconds.
//
// One server serves all test processes of a user. The first test starts it, an installed one or one that is fetched once; it ends by
// itself half a minute after the last test. Only tests import this package.
package pgtest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver that pgtestdb opens
	"github.com/peterldowns/pgtestdb"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
)

// New returns a pool on a database of the test's own. As in production the role is named like the schema and has no rights beyond it;
// the schema is migrated by files, the folder with NNN_verb_thing.sql at its root, and empty (not even made) when files is nil. Pool
// and database go with the test; the database of a failed test stays until the server's next start, and the test's log names it.
func New(t testing.TB, schema string, files fs.FS) *pgxpool.Pool {
	t.Helper()
	return Open(t, Config(t, schema, files))
}

// Open returns a pool that is closed with the test, before the database goes.
func Open(t testing.TB, c pg.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("open the test database: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Config is New for tests that open the database by themselves, such as those of a whole program. Everything that connects must have
// closed its connections when the test ends.
func Config(t testing.TB, schema string, files fs.FS) pg.Config {
	t.Helper()
	return clone(t, join(t), schema, migrator{schema: schema, files: files})
}

// Split is Config for a program that does not own its schema: as in production the role named <schema>_owner owns and migrates it, and
// the role named like the schema serves with what the migrations grant. When files is nil the schema is empty, but made.
func Split(t testing.TB, schema string, files fs.FS) (serving, owner pg.Config) {
	t.Helper()
	server := join(t)
	owner = clone(t, server, schema+ownerSuffix, migrator{schema: schema, files: files, server: server})
	u, err := url.Parse(owner.URL.Reveal())
	if err != nil {
		t.Fatalf("read the URL of the test database: %v", err)
	}
	u.User = url.UserPassword(schema, password)
	serving = owner
	serving.URL = config.NewSecret(u.String())
	return serving, owner
}

// What the roles of test databases are called and sign in with.
const (
	ownerSuffix = "_owner"
	password    = "pgtest"
)

func clone(t testing.TB, server *pgserver.Server, role string, m migrator) pg.Config {
	t.Helper()
	// The empty names keep files in HOME out, as pgurl does.
	conf := pgtestdb.Custom(t, pgtestdb.Config{
		DriverName: "pgx", Host: "127.0.0.1", Port: fmt.Sprint(server.Port),
		User: pgserver.Superuser, Password: server.Password.Reveal(), Database: "postgres",
		Options:                   "sslmode=disable&passfile=&sslcert=&sslkey=&sslrootcert=",
		TestRole:                  &pgtestdb.Role{Username: role, Password: password, Capabilities: pgtestdb.DefaultRoleCapabilities},
		ForceTerminateConnections: true,
	}, m)
	return pg.Config{
		URL: config.NewSecret(conf.URL()), MaxConns: 10, MaxConnLifetime: 5 * time.Minute,
		ConnectTimeout: 10 * time.Second, Wait: 10 * time.Second,
	}
}

// migrator tells pgtestdb how a template comes about.
type migrator struct {
	schema string
	files  fs.FS
	server *pgserver.Server // set for a schema whose owner does not serve
}

// Hash changes with the schema's name and every migration.
func (m migrator) Hash() (string, error) {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%s %t\n", m.schema, m.server != nil) // a hash takes everything
	if m.files == nil {
		return fmt.Sprintf("%x", sum.Sum(nil)[:16]), nil
	}
	err := fs.WalkDir(m.files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(m.files, path)
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", path, len(content), content)
		return err
	})
	return fmt.Sprintf("%x", sum.Sum(nil)[:16]), err
}

// Migrate runs the program's own migration.
func (m migrator) Migrate(ctx context.Context, _ *sql.DB, conf pgtestdb.Config) error {
	if m.server != nil {
		super, secret := m.server.SuperURL(conf.Database), config.NewSecret(password)
		if err := database.EnsureRole(ctx, super, m.schema+ownerSuffix, secret, m.schema); err != nil {
			return err
		}
		if err := database.EnsureServingRole(ctx, super, m.schema, secret, m.schema, m.schema+ownerSuffix); err != nil {
			return err
		}
	}
	if m.files == nil {
		return nil
	}
	c := pg.Config{URL: config.NewSecret(conf.URL())}
	return pg.Migrate(ctx, c, m.schema, m.files, slog.New(slog.NewTextHandler(io.Discard, nil)))
}
