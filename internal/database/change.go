package database

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse/gatehouse/internal/config"
)

// lockWait is how long a change of roles waits for a lock of anybody: a role can update its own
// rows of the catalogs, such as by setting its password, and leave that open.
const lockWait = 15 * time.Second

// change is changeRoles with a connection of its own.
func change(ctx context.Context, admin config.Secret, what string, fn func(tx pgx.Tx) error) error {
	conn, err := connect(ctx, admin)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := changeRoles(ctx, conn, fn); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// changeRoles runs fn in a transaction that keeps other changes of ours to roles away: two at a
// time would meet on one row of a catalog and fail. The lock is one that no role of a program can
// hold, as any role could an advisory one.
func changeRoles(ctx context.Context, conn *pgx.Conn, fn func(tx pgx.Tx) error) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := keepOthersAway(ctx, tx); err != nil {
			return fmt.Errorf("keep others from changing roles: %w", err)
		}
		return fn(tx)
	})
	switch sqlState(err) {
	case "55P03": // lock_not_available
		return fmt.Errorf("another session has kept for %s what this changes; find it with `select pid, usename, state, xact_start from pg_stat_activity "+
			"where xact_start is not null order by xact_start`, end it with `select pg_terminate_backend(<pid>)`, and start again: %w", lockWait, err)
	case "42501": // insufficient_privilege
		return fmt.Errorf("the server does not let this role do that: take the role that made the database and the roles, or a superuser: %w", err)
	}
	return err
}

// keepOthersAway locks the catalog of comments on roles and databases, which only a superuser can
// do, or the comment on the database, which only its owner can.
func keepOthersAway(ctx context.Context, tx pgx.Tx) error {
	var super bool
	if err := tx.QueryRow(ctx, "select rolsuper from pg_roles where rolname = current_user").Scan(&super); err != nil {
		return err
	}
	statements := []string{fmt.Sprintf("set local lock_timeout = %d", lockWait.Milliseconds())}
	if super {
		// What sets a password must not reach the server's log, not even when it fails, though it is a verifier.
		statements = append(statements, "set local log_statement = 'none'", "set local log_min_error_statement = 'panic'", "set local log_min_duration_statement = -1",
			"lock table pg_catalog.pg_shdescription in share row exclusive mode")
	}
	for _, sql := range statements {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if super {
		return nil
	}
	return execEach(ctx, tx, sameComment)
}

// sameComment writes the comment of the database as it is. PostgreSQL locks what is commented on
// until the transaction ends, against other comments.
const sameComment = `select format('comment on database %I is %L', datname, shobj_description(oid, 'pg_database')) from pg_database where datname = current_database()`

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

// querier is a connection or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// run executes a statement whose %I and %L the server itself fills in.
func run(ctx context.Context, db querier, format string, args ...string) error {
	var sql string
	if err := db.QueryRow(ctx, "select format($1, variadic $2::text[])", format, args).Scan(&sql); err != nil {
		return err
	}
	_, err := db.Exec(ctx, sql)
	return err
}
