package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/tern/v2/migrate"

	"github.com/gatehouse/gatehouse/internal/apierr"
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

func migrateLocked(ctx context.Context, conn *pgx.Conn, schema string, latest int32, files fs.FS, log *slog.Logger) error {
	before, err := schemaVersion(ctx, conn, schema)
	if err != nil {
		return err
	}
	if before >= latest {
		log.InfoContext(ctx, "schema is up to date", "schema", schema, "version", before, "known", latest)
		return nil
	}
	// Without a connection tern only reads the files. What it runs itself it runs under an advisory
	// lock, which any role of the database may hold for ever.
	read, err := migrate.NewMigrator(ctx, nil, "")
	if err != nil {
		return fmt.Errorf("load migrations of schema %s: %w", schema, err)
	}
	if err := read.LoadMigrations(files); err != nil {
		return fmt.Errorf("load migrations of schema %s: %w", schema, err)
	}
	_, err = conn.Exec(ctx, fmt.Sprintf("insert into %[1]s (version) select 0 where not exists (select from %[1]s)", versionTable(schema)))
	if err != nil {
		return fmt.Errorf("create the version of schema %s: %w", schema, err)
	}
	for _, m := range read.Migrations[before:] {
		log.InfoContext(ctx, "migrating", "schema", schema, "migration", m.Name)
		if err := apply(ctx, conn, schema, m); err != nil {
			return fmt.Errorf("migrate schema %s: %s: %w", schema, m.Name, err)
		}
	}
	log.InfoContext(ctx, "schema migrated", "schema", schema, "from", before, "version", latest)
	return nil
}

// withoutTx is tern's mark of a file that cannot run in a transaction. Such a file holds one
// statement, which may run again: its version is counted up afterwards.
var withoutTx = regexp.MustCompile(`(?m)^---- tern: disable-tx ----$`)

// builtIndex finds the name of the index that a file makes.
var builtIndex = regexp.MustCompile(`(?im)^create (?:unique )?index concurrently if not exists ([a-z0-9_]+) on `)

// apply runs one file and counts the version up, in one transaction that holds the version's row: a
// process whose lock has died with its connection cannot apply what another one has applied
// meanwhile.
func apply(ctx context.Context, conn *pgx.Conn, schema string, m *migrate.Migration) error {
	if withoutTx.MatchString(m.UpSQL) {
		if built := builtIndex.FindStringSubmatch(m.UpSQL); built != nil {
			if err := dropInvalid(ctx, conn, schema, built[1]); err != nil {
				return err
			}
		}
		if _, err := conn.Exec(ctx, m.UpSQL); err != nil {
			return err
		}
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return countUp(ctx, tx, schema, m.Sequence) })
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := countUp(ctx, tx, schema, m.Sequence); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, m.UpSQL); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "reset all") // what a file sets is for itself
		return err
	})
}

// dropInvalid drops an index that an interrupted build left INVALID: `if not exists` would keep it,
// and PostgreSQL would maintain it without ever using it.
func dropInvalid(ctx context.Context, conn *pgx.Conn, schema, index string) error {
	var invalid bool
	err := conn.QueryRow(ctx, `select exists (
		select from pg_catalog.pg_index i
		join pg_catalog.pg_class c on c.oid = i.indexrelid
		join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where n.nspname = $1 and c.relname = $2 and not i.indisvalid)`, schema, index).Scan(&invalid)
	if err != nil || !invalid {
		return err
	}
	_, err = conn.Exec(ctx, "drop index concurrently if exists "+pgx.Identifier{schema, index}.Sanitize())
	return err
}

func countUp(ctx context.Context, tx pgx.Tx, schema string, version int32) error {
	tag, err := tx.Exec(ctx, "update "+versionTable(schema)+" set version = $1 where version = $1 - 1", version)
	if err == nil && tag.RowsAffected() != 1 {
		return errors.New("another process migrates this schema: migrate again")
	}
	return err
}

// plainName is a name that SQL takes without quotes; tern does not quote.
var plainName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

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
	return int32(len(names)), nil //nolint:gosec // a count of embedded files
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
	return apierr.SchemaOutdated().Saying(fmt.Sprintf(
		"schema %s is at version %d and this program needs %d: run `%s migrate`", schema, version, latest, strings.ReplaceAll(schema, "_", "-")))
}
