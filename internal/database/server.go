package database

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
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

// openFunctions are those that PostgreSQL gives to everyone and that reach beyond a role's own:
// advisory locks are the whole database's and fill the table that all locks of the server share,
// and large objects belong to no schema.
const openFunctions = `
	select format('revoke execute on function %s from public', p.oid::regprocedure)
	from pg_catalog.pg_proc p
	where p.pronamespace = 'pg_catalog'::regnamespace and (p.proname ~ '^(pg_(try_)?advisory_|lo_)' or p.proname in ('loread', 'lowrite'))
		and has_function_privilege('public', p.oid, 'execute')
	order by 1`

// CloseFunctions takes from everyone in this database the functions by which a role could hold up
// others (R86). No program of ours needs one. superURL leads the superuser to the database.
func CloseFunctions(ctx context.Context, superURL config.Secret) error {
	return change(ctx, superURL, "close functions that reach beyond a role", func(tx pgx.Tx) error { return execEach(ctx, tx, openFunctions) })
}

// EnsureDatabase makes a database, once, and takes from everyone what PostgreSQL gives to everyone:
// connecting to it and temporary tables. admin leads a superuser, or a role with CREATEDB, to any
// database.
func EnsureDatabase(ctx context.Context, admin config.Secret, name string) error {
	conn, err := connect(ctx, admin)
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
