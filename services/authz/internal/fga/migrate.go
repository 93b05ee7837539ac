package fga

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"github.com/openfga/openfga/assets"
	"github.com/openfga/openfga/pkg/server/commands"
	"github.com/openfga/openfga/pkg/storage"
	"github.com/pressly/goose/v3"

	"github.com/gatehouse/gatehouse/internal/pg"
)

// Migrate brings the schema authz_fga to this program's version and writes the store and the embedded model once. Any number of
// processes may call it at the same time. It waits up to c.Wait for the database to answer. A schema that is newer is left alone, and
// so are the models of other versions of this program.
func Migrate(ctx context.Context, c pg.Config, log *slog.Logger) error {
	rules, err := embeddedRules()
	if err != nil {
		return err
	}
	return pg.LockedBy(ctx, c, ownerSchema, Schema, log, func(conn *pgx.Conn) error {
		if err := migrateTables(ctx, conn, log); err != nil {
			return err
		}
		if err := mendIndexes(ctx, conn, log); err != nil {
			return err
		}
		return writeModel(ctx, c, rules.model, log)
	})
}

// migrateTables runs OpenFGA's own migrations. OpenFGA's command for it works on global state and without a context.
func migrateTables(ctx context.Context, conn *pgx.Conn, log *slog.Logger) error {
	files, err := fs.Sub(assets.EmbedMigrations, assets.PostgresMigrationDir)
	if err != nil {
		return fmt.Errorf("read OpenFGA's migrations: %w", err)
	}
	db := stdlib.OpenDB(*conn.Config())
	defer func() { _ = db.Close() }() // the server ends the session in any case
	migrator, err := goose.NewProvider(goose.DialectPostgres, db, files)
	if err != nil {
		return fmt.Errorf("read OpenFGA's migrations: %w", err)
	}
	before, err := migrator.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the version of schema %s: %w", Schema, err)
	}
	sources := migrator.ListSources()
	if latest := sources[len(sources)-1].Version; before >= latest {
		log.InfoContext(ctx, "schema is up to date", "schema", Schema, "version", before, "known", latest)
		return nil
	}
	results, err := migrator.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate schema %s: %w", Schema, err)
	}
	log.InfoContext(ctx, "schema migrated", "schema", Schema, "from", before, "migrations", len(results))
	return nil
}

// mendIndexes rebuilds the indexes that a killed `create index concurrently` left INVALID: OpenFGA's migration skips an index that is
// there, and PostgreSQL would maintain it without ever using it.
func mendIndexes(ctx context.Context, conn *pgx.Conn, log *slog.Logger) error {
	rows, err := conn.Query(ctx, `
		select c.relname from pg_catalog.pg_index i
		join pg_catalog.pg_class c on c.oid = i.indexrelid
		join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where n.nspname = @schema and not i.indisvalid`, pgx.StrictNamedArgs{"schema": Schema})
	if err != nil {
		return fmt.Errorf("look for invalid indexes: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for invalid indexes: %w", err)
	}
	for _, name := range names {
		repair := "reindex index concurrently "
		if strings.Contains(name, "_ccnew") || strings.Contains(name, "_ccold") { // what a killed reindex leaves
			repair = "drop index concurrently if exists "
		}
		log.WarnContext(ctx, "repairing an index that an interrupted migration left invalid", "schema", Schema, "index", name)
		if _, err := conn.Exec(ctx, repair+pgx.Identifier{Schema, name}.Sanitize()); err != nil {
			return fmt.Errorf("repair index %s: %w", name, err)
		}
	}
	return nil
}

// writeModel makes the store and adds the model unless they are there. The caller holds the migration lock.
func writeModel(ctx context.Context, c pg.Config, model *openfgav1.AuthorizationModel, log *slog.Logger) error {
	bounded, err := boundedURL(c.URL)
	if err != nil {
		return err
	}
	c.URL = bounded
	pool, err := pg.Open(ctx, c)
	if err != nil {
		return err
	}
	defer pool.Close()
	ds, err := newDatastore(pool)
	if err != nil {
		return err
	}
	return ensureModel(ctx, ds, model, log)
}

func ensureModel(ctx context.Context, ds storage.OpenFGADatastore, model *openfgav1.AuthorizationModel, log *slog.Logger) error {
	store, id, err := find(ctx, ds, model)
	if err != nil {
		return fmt.Errorf("look for the authorization model: %w", err)
	}
	if id != "" {
		log.InfoContext(ctx, "authorization model is up to date", "model", id)
		return nil
	}
	if store == "" {
		made, err := commands.NewCreateStoreCommand(ds).Execute(ctx, &openfgav1.CreateStoreRequest{Name: storeName})
		if err != nil {
			return fmt.Errorf("make the store of relationships: %w", err)
		}
		store = made.GetId()
	}
	written, err := commands.NewWriteAuthorizationModelCommand(ds).Execute(ctx, &openfgav1.WriteAuthorizationModelRequest{
		StoreId: store, SchemaVersion: model.GetSchemaVersion(), TypeDefinitions: model.GetTypeDefinitions(), Conditions: model.GetConditions(),
	})
	if err != nil {
		return fmt.Errorf("write the authorization model: %w", err)
	}
	log.InfoContext(ctx, "authorization model written", "store", store, "model", written.GetAuthorizationModelId())
	return nil
}
