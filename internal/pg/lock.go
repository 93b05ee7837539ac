package pg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// How often a waiting migration looks again, and how often it says that it waits.
const (
	poll   = 250 * time.Millisecond
	remind = 10 * time.Second
)

// lockLimit is how long a statement of a migration waits for a lock of anybody: `create index
// concurrently` would wait for ever for a session that keeps a snapshot, whoever it belongs to.
const lockLimit = time.Minute

// Locked runs fn under the lock of a schema's migrations, with a connection of its own whose search
// path is the schema. The schema is made when it is not there. It is for what Migrate cannot do:
// migrations of a library. It waits up to c.Wait for the database to answer, and as long as ctx
// lives for another migration of the schema to end.
func Locked(ctx context.Context, c Config, schema string, log *slog.Logger, fn func(conn *pgx.Conn) error) error {
	return LockedBy(ctx, c, schema, schema, log, fn)
}

// LockedBy is Locked for a schema that has no room for our version table: the lock is that of
// another schema of the same role.
func LockedBy(ctx context.Context, c Config, lockSchema, schema string, log *slog.Logger, fn func(conn *pgx.Conn) error) error {
	lock, err := connect(ctx, c, "", log)
	if err != nil {
		return err
	}
	defer closeConn(ctx, lock)
	if err := ensureSchema(ctx, lock, lockSchema); err != nil {
		return err
	}
	if err := ensureVersionTable(ctx, lock, lockSchema); err != nil {
		return err
	}
	if err := takeLock(ctx, lock, lockSchema, log); err != nil {
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
	err = fn(work)
	if sqlState(err) == lockNotAvailable {
		return fmt.Errorf("another session of the database has kept what the migration needs for too long; find it with "+
			"`select pid, usename, state, xact_start from pg_stat_activity where datname = current_database() order by xact_start`, "+
			"end it, and migrate again: %w", err)
	}
	return err
}

// takeLock locks the schema's version table until the connection ends. Nobody but the owner of the
// schema can hold that lock, as anybody in the database can an advisory one. The wait polls, and
// what holds the lock is an idle transaction without a snapshot: `create index concurrently` of any
// schema waits for neither.
func takeLock(ctx context.Context, conn *pgx.Conn, schema string, log *slog.Logger) error {
	for n := 0; ; n++ {
		got, err := tryLock(ctx, conn, schema)
		waited := n > 0 && ctx.Err() != nil // said below
		switch {
		case got:
			return nil
		case err != nil && !waited:
			return fmt.Errorf("take the lock of schema %s: %w", schema, err)
		}
		if n%int(remind/poll) == 0 {
			log.InfoContext(ctx, "waiting for another migration of this schema to end", "schema", schema)
		}
		if !pause(ctx) {
			return fmt.Errorf("wait for another migration of schema %s to end: %w", schema, ctx.Err())
		}
	}
}

// unbounded lifts what an operator may have set to end idle transactions: the one that holds the
// lock is idle for as long as the migration takes.
const unbounded = `
	select set_config(name, '0', true) from pg_catalog.pg_settings
	where name in ('idle_in_transaction_session_timeout', 'transaction_timeout', 'idle_session_timeout')`

// tryLock leaves the transaction open when it got the lock. The lock ends with the connection.
func tryLock(ctx context.Context, conn *pgx.Conn, schema string) (bool, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return false, err
	}
	var b pgx.Batch
	b.Queue(unbounded)
	b.Queue("lock table " + versionTable(schema) + " in share update exclusive mode nowait")
	err = tx.SendBatch(ctx, &b).Close()
	if err == nil {
		return true, nil
	}
	if back := tx.Rollback(ctx); back != nil {
		return false, errors.Join(err, back)
	}
	if sqlState(err) == lockNotAvailable {
		return false, nil
	}
	return false, err
}

// connect opens a connection of its own, outside of any pool, and tries until the database answers.
func connect(ctx context.Context, c Config, schema string, log *slog.Logger) (*pgx.Conn, error) {
	parsed, err := c.poolConfig()
	if err != nil {
		return nil, err
	}
	params := parsed.ConnConfig.RuntimeParams
	if _, given := params["lock_timeout"]; !given {
		params["lock_timeout"] = fmt.Sprint(lockLimit.Milliseconds())
	}
	if schema != "" {
		params["search_path"] = schema
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
		if pause(waiting) {
			continue
		}
		if sqlState(err) == tooManyConnections {
			return nil, fmt.Errorf("the database had no connection left for this role within %s: end sessions, or raise its connection limit or max_connections", c.Wait)
		}
		return nil, fmt.Errorf("the database at %s:%d did not answer within %s: start it, or correct GATEHOUSE_POSTGRES_URL",
			parsed.ConnConfig.Host, parsed.ConnConfig.Port, c.Wait)
	}
}

// ensureSchema asks before it creates: `create schema if not exists` needs the right to create on
// the database even when it exists, and a service's role has none where the operator made the
// schema.
func ensureSchema(ctx context.Context, conn *pgx.Conn, schema string) error {
	var exists bool
	err := conn.QueryRow(ctx, "select exists (select from pg_catalog.pg_namespace where nspname = $1)", schema).Scan(&exists)
	if err != nil {
		return fmt.Errorf("look for schema %s: %w", schema, err)
	}
	if exists {
		return nil
	}
	if err := create(ctx, conn, "create schema if not exists "+pgx.Identifier{schema}.Sanitize()); err != nil {
		return fmt.Errorf("create schema %s (let the database's owner run `create schema %s authorization <role>`): %w", schema, schema, err)
	}
	return nil
}

// ensureVersionTable makes the table as tern's own command would. Its row comes with the first
// migration, under the lock.
func ensureVersionTable(ctx context.Context, conn *pgx.Conn, schema string) error {
	var exists bool
	if err := conn.QueryRow(ctx, "select to_regclass($1) is not null", versionTable(schema)).Scan(&exists); err != nil {
		return fmt.Errorf("look for the version table of schema %s: %w", schema, err)
	}
	if exists {
		return nil
	}
	if err := create(ctx, conn, "create table if not exists "+versionTable(schema)+" (version int4 not null)"); err != nil {
		return fmt.Errorf("create the version table of schema %s: %w", schema, err)
	}
	return nil
}

// create runs a `create … if not exists`, which fails when another process makes the same thing at
// the same time, and then once more.
func create(ctx context.Context, conn *pgx.Conn, sql string) error {
	_, err := conn.Exec(ctx, sql)
	switch sqlState(err) {
	case uniqueViolation, duplicateTable, duplicateObject, duplicateSchema:
		_, err = conn.Exec(ctx, sql)
	}
	return err
}

func versionTable(schema string) string { return pgx.Identifier{schema, "schema_version"}.Sanitize() }

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
