package pgserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/pg/pgurl"
)

// CloseServer takes from everyone on a server of our own what PostgreSQL gives to everyone:
// connecting to the maintenance databases. On a server that somebody else runs that is not ours to
// decide. superURL leads the superuser to the database "postgres".
func CloseServer(ctx context.Context, superURL config.Secret) error {
	conn, err := connect(ctx, superURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, name := range []string{"postgres", "template1"} {
		if err := closeDatabase(ctx, conn, name); err != nil {
			return err
		}
	}
	return nil
}

func closeDatabase(ctx context.Context, conn *pgx.Conn, name string) error {
	if err := run(ctx, conn, "revoke all on database %I from public", name); err != nil {
		return fmt.Errorf("close database %s to the public: %w", name, err)
	}
	return nil
}

// EnsureDatabase makes a database, once, and takes from everyone what PostgreSQL gives to everyone:
// connecting to it and temporary tables. superURL leads the superuser to the database "postgres".
func EnsureDatabase(ctx context.Context, superURL config.Secret, name string) error {
	conn, err := connect(ctx, superURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var exists bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&exists); err != nil {
		return fmt.Errorf("look for database %s: %w", name, err)
	}
	if !exists {
		if err := run(ctx, conn, "create database %I", name); err != nil {
			return fmt.Errorf("create database %s: %w", name, err)
		}
	}
	return closeDatabase(ctx, conn, name)
}

// EnsureRole makes, or brings back to this state, a role that can sign in with the password, connect to this database and use the one
// schema that it owns, and nothing else: no other schema, no membership, no creation of databases or roles. superURL leads the
// superuser to the database that EnsureDatabase made.
func EnsureRole(ctx context.Context, superURL config.Secret, role string, password config.Secret, schema string) error {
	conn, err := connect(ctx, superURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	err = changeRoles(ctx, conn, func(tx pgx.Tx) error { return ensureRole(ctx, tx, role, password, schema) })
	if err != nil {
		return fmt.Errorf("make role %s with schema %s: %w", role, schema, err)
	}
	return nil
}

func ensureRole(ctx context.Context, tx pgx.Tx, role string, password config.Secret, schema string) error {
	current, err := createRole(ctx, tx, role, password)
	if err != nil {
		return err
	}
	err = steps(ctx, tx, []step{
		{"create schema if not exists %I authorization %I", []string{schema, role}},
		{"alter schema %I owner to %I", []string{schema, role}},
		{"revoke all on schema %I from public", []string{schema}},
		{"grant connect on database %I to %I", []string{current, role}},
		{"alter role %I in database %I set search_path = %I", []string{role, current, schema}},
	})
	if err != nil {
		return err
	}
	return revokeStrangers(ctx, tx, role, schema)
}

// createRole makes the role, or brings it back to one that can sign in with the password and do nothing in the database.
func createRole(ctx context.Context, tx pgx.Tx, role string, password config.Secret) (current string, err error) {
	// The statement that sets the password must not reach the server's log, not even when it fails.
	for _, quiet := range []string{"set local log_statement = 'none'", "set local log_min_error_statement = 'panic'", "set local log_min_duration_statement = -1"} {
		if _, err := tx.Exec(ctx, quiet); err != nil {
			return "", err
		}
	}
	var exists bool
	err = tx.QueryRow(ctx, "select current_database(), exists (select from pg_roles where rolname = $1)", role).Scan(&current, &exists)
	if err != nil {
		return "", err
	}
	if !exists {
		if err := run(ctx, tx, "create role %I", role); err != nil {
			return "", err
		}
	}
	return current, steps(ctx, tx, []step{
		{"alter role %I with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls noinherit password %L", []string{role, password.Reveal()}},
		{"revoke all on schema public from public, %I", []string{role}},
		{"revoke all on database %I from %I", []string{current, role}},
	})
}

// lockWait is how long a change of roles waits for a lock of anybody: a role can update its own
// rows of the catalogs, such as by setting its password, and leave that open.
const lockWait = 15 * time.Second

// changeRoles runs fn in a transaction that keeps other changes of ours to roles away: two at a
// time would meet on one row of a catalog and fail. The lock is on the catalog of comments on roles
// and databases, which only a superuser can lock so: an advisory lock any role could hold for ever.
func changeRoles(ctx context.Context, conn *pgx.Conn, fn func(tx pgx.Tx) error) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, sql := range []string{
			fmt.Sprintf("set local lock_timeout = %d", lockWait.Milliseconds()), "lock table pg_catalog.pg_shdescription in share row exclusive mode",
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("keep others from changing roles: %w", err)
			}
		}
		return fn(tx)
	})
	var answer *pgconn.PgError
	if errors.As(err, &answer) && answer.Code == "55P03" { // lock_not_available
		return fmt.Errorf("another session has kept for %s what this changes; find it with `select pid, usename, state, xact_start from pg_stat_activity "+
			"where xact_start is not null order by xact_start`, end it with `select pg_terminate_backend(<pid>)`, and start again: %w", lockWait, err)
	}
	return err
}

// step is a statement for run.
type step struct {
	sql  string
	args []string
}

func steps(ctx context.Context, db database, all []step) error {
	for _, one := range all {
		if err := run(ctx, db, one.sql, one.args...); err != nil {
			return err
		}
	}
	return nil
}

// revokeStrangers takes away what somebody granted by hand: other roles' rights on the schema, and memberships of the role.
func revokeStrangers(ctx context.Context, tx pgx.Tx, role, schema string) error {
	err := execEach(ctx, tx, `
		select format('revoke all on schema %I from %I cascade', n.nspname, g.rolname)
		from pg_namespace n, aclexplode(n.nspacl) a join pg_roles g on g.oid = a.grantee
		where n.nspname = $1 and a.grantee <> n.nspowner`, schema)
	if err != nil {
		return err
	}
	return revokeMemberships(ctx, tx, role)
}

func revokeMemberships(ctx context.Context, tx pgx.Tx, role string) error {
	return execEach(ctx, tx, `
		select format('revoke %I from %I', g.rolname, m.rolname)
		from pg_auth_members am join pg_roles g on g.oid = am.roleid join pg_roles m on m.oid = am.member
		where m.rolname = $1 or (g.rolname = $1 and not m.rolsuper)`, role)
}

// execEach executes the statements that a query returns.
func execEach(ctx context.Context, tx pgx.Tx, query string, args ...any) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// database is a connection or a transaction.
type database interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// run executes a statement whose %I and %L the server itself fills in: identifiers and passwords cannot be parameters.
func run(ctx context.Context, db database, format string, args ...string) error {
	var sql string
	if err := db.QueryRow(ctx, "select format($1, variadic $2::text[])", format, args).Scan(&sql); err != nil {
		return err
	}
	_, err := db.Exec(ctx, sql)
	return err
}

// connectTimeout bounds each connection: an address behind a firewall that drops packets would take
// minutes.
const connectTimeout = 5 * time.Second

func connect(ctx context.Context, address config.Secret) (*pgx.Conn, error) {
	settings, err := pgurl.Parse(address)
	if err != nil {
		return nil, err
	}
	if settings.ConnectTimeout == 0 {
		settings.ConnectTimeout = connectTimeout
	}
	conn, err := pgx.ConnectConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL as its superuser: %w", err)
	}
	return conn, nil
}
