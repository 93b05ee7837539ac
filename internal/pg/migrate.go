package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/tern/v2/migrate"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// migrationLock is the advisory lock that everything which migrates a database of Gatehouse holds. It is one number for all schemas:
// OpenFGA's `create index concurrently` waits for every other session that waits for a lock inside a snapshot, tern's included.
const migrationLock = 0x6761746568 // "gateh"

// How often a waiting migration looks again, and how often it says that it waits.
const (
	poll   = 250 * time.Millisecond
	remind = 10 * time.Second
)

// Migrate brings a schema to the newest version of files, the folder with NNN_verb_thing.sql at its root. Any number of processes may
// call it at the same time. It waits up to c.Wait for the database to answer, because the sidecar may not be up yet.
//
// A schema that is newer than files is accepted and left alone: an older program runs beside a newer one during a rolling deploy.
// Files are Go templates to tern: "{{" breaks them. A file runs in one transaction; `commit` inside would leave partial effects.
func Migrate(ctx context.Context, c Config, schema string, files fs.FS, log *slog.Logger) error {
	if !plainName.MatchString(schema) {
		return fmt.Errorf("schema name %q: use lower-case letters, digits and underscores", schema)
	}
	latest, err := LatestVersion(files)
	if err != nil {
		return err
	}
	return Locked(ctx, c, schema, log, func(work *pgx.Conn) error {
		return migrateLocked(ctx, work, schema, latest, files, log)
	})
}

// Locked runs fn under the lock that everything which migrates a database of Gatehouse holds, with a connection of its own whose
// search path is the schema; the schema is made when it is not there. It is for what Migrate cannot do: migrations of a library. It
// waits up to c.Wait for the database to answer, and as long as ctx lives for another migration to end.
func Locked(ctx context.Context, c Config, schema string, log *slog.Logger, fn func(conn *pgx.Conn) error) error {
	lock, err := connect(ctx, c, "", log)
	if err != nil {
		return err
	}
	defer closeConn(ctx, lock)
	if err := takeLock(ctx, lock, log); err != nil {
		return err
	}
	work, err := connect(ctx, c, schema, log)
	if err != nil {
		return err
	}
	defer closeConn(ctx, work)
	if err := ensureSchema(ctx, work, schema); err != nil {
		return err
	}
	return fn(work)
}

// plainName is a name that SQL takes without quotes; tern does not quote.
var plainName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// connect opens a connection of its own, outside of any pool, and tries until the database answers.
func connect(ctx context.Context, c Config, schema string, log *slog.Logger) (*pgx.Conn, error) {
	parsed, err := c.poolConfig()
	if err != nil {
		return nil, err
	}
	if schema != "" {
		parsed.ConnConfig.RuntimeParams["search_path"] = schema
	}
	waiting, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	for said := false; ; said = true {
		conn, err := pgx.ConnectConfig(ctx, parsed.ConnConfig.Copy())
		switch {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("connect to the database: %w", ctx.Err())
		case refused(err):
			return nil, fmt.Errorf("the database refuses this role (SQLSTATE %s): correct role, password and database in GATEHOUSE_POSTGRES_URL", sqlState(err))
		case !said:
			log.InfoContext(ctx, "waiting for the database", "at_most", c.Wait.String())
		}
		if !pause(waiting) {
			return nil, fmt.Errorf("the database at %s:%d did not answer within %s: start it, or correct GATEHOUSE_POSTGRES_URL",
				parsed.ConnConfig.Host, parsed.ConnConfig.Port, c.Wait)
		}
	}
}

// takeLock polls: a blocking pg_advisory_lock holds a snapshot while it waits, and hangs with `create index concurrently` without a
// deadlock error. The lock ends with the connection.
func takeLock(ctx context.Context, conn *pgx.Conn, log *slog.Logger) error {
	for n := 0; ; n++ {
		var got bool
		if err := conn.QueryRow(ctx, "select pg_try_advisory_lock($1)", int64(migrationLock)).Scan(&got); err != nil {
			return fmt.Errorf("take the migration lock: %w", err)
		}
		if got {
			return nil
		}
		if n%int(remind/poll) == 0 {
			log.InfoContext(ctx, "waiting for another migration of this database to end")
		}
		if !pause(ctx) {
			return fmt.Errorf("wait for another migration to end: %w", ctx.Err())
		}
	}
}

func migrateLocked(ctx context.Context, conn *pgx.Conn, schema string, latest int32, files fs.FS, log *slog.Logger) error {
	before, err := schemaVersion(ctx, conn, schema)
	if err != nil {
		return err
	}
	if before >= latest {
		log.InfoContext(ctx, "schema is up to date", "schema", schema, "version", before, "known", latest)
		return nil
	}
	migrator, err := migrate.NewMigrator(ctx, conn, schema+".schema_version")
	if err != nil {
		return fmt.Errorf("create the version table of schema %s: %w", schema, err)
	}
	if err := migrator.LoadMigrations(files); err != nil {
		return fmt.Errorf("load migrations of schema %s: %w", schema, err)
	}
	migrator.OnStart = func(_ int32, name, _, _ string) {
		log.InfoContext(ctx, "migrating", "schema", schema, "migration", name)
	}
	if err := migrator.Migrate(ctx); err != nil {
		return fmt.Errorf("migrate schema %s: %w", schema, err)
	}
	log.InfoContext(ctx, "schema migrated", "schema", schema, "from", before, "version", latest)
	return nil
}

// ensureSchema asks before it creates: `create schema if not exists` needs the right to create on the database even when it exists,
// and a service's role has none where the operator made the schema.
func ensureSchema(ctx context.Context, conn *pgx.Conn, schema string) error {
	var exists bool
	err := conn.QueryRow(ctx, "select exists (select from pg_catalog.pg_namespace where nspname = $1)", schema).Scan(&exists)
	if err != nil {
		return fmt.Errorf("look for schema %s: %w", schema, err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, "create schema if not exists "+pgx.Identifier{schema}.Sanitize()); err != nil {
		return fmt.Errorf("create schema %s (let the database's owner run `create schema %s authorization <role>`): %w", schema, schema, err)
	}
	return nil
}

// querier is what reading a version needs; pools and connections have it.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// SchemaVersion returns the version of a schema, 0 when it was never migrated.
func SchemaVersion(ctx context.Context, pool *pgxpool.Pool, schema string) (int32, error) {
	return schemaVersion(ctx, pool, schema)
}

func schemaVersion(ctx context.Context, db querier, schema string) (version int32, err error) {
	err = db.QueryRow(ctx, "select version from "+pgx.Identifier{schema, "schema_version"}.Sanitize()).Scan(&version)
	switch {
	case err == nil:
		return version, nil
	case errors.Is(err, pgx.ErrNoRows) || sqlState(err) == undefinedTable || sqlState(err) == invalidSchemaName:
		return 0, nil
	default:
		return 0, Error(fmt.Errorf("read the version of schema %s: %w", schema, err))
	}
}

// LatestVersion returns the version that files lead to.
func LatestVersion(files fs.FS) (int32, error) {
	names, err := migrate.FindMigrations(files)
	if err != nil {
		return 0, fmt.Errorf("list migrations: %w", err)
	}
	if len(names) == 0 {
		return 0, errors.New("list migrations: there is no NNN_verb_thing.sql at the root of the folder")
	}
	return int32(len(names)), nil // a count of embedded files
}

// CheckSchema returns nil when the schema is at least as new as files; for readiness.
func CheckSchema(ctx context.Context, pool *pgxpool.Pool, schema string, files fs.FS) error {
	latest, err := LatestVersion(files)
	if err != nil {
		return err
	}
	version, err := SchemaVersion(ctx, pool, schema)
	if err != nil {
		return err
	}
	if version >= latest {
		return nil
	}
	return apierr.New(apierr.FailedPrecondition, "SCHEMA_OUTDATED", fmt.Sprintf(
		"schema %s is at version %d and this program needs %d: run `%s migrate`", schema, version, latest, strings.ReplaceAll(schema, "_", "-")))
}

// pause waits a moment; false when the context ended first.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func closeConn(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the server ends the session in any case
}
