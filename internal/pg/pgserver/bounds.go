package pgserver

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
)

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
	return inTx(ctx, superURL, "close functions that reach beyond a role", func(tx pgx.Tx) error { return execEach(ctx, tx, openFunctions) })
}

// LimitConnections says how many connections a role may have at a time: one that takes more hurts
// itself, not the others (R86).
func LimitConnections(ctx context.Context, superURL config.Secret, role string, most int) error {
	return inTx(ctx, superURL, "limit the connections of role "+role, func(tx pgx.Tx) error {
		return run(ctx, tx, fmt.Sprintf("alter role %%I connection limit %d", most), role)
	})
}

func inTx(ctx context.Context, superURL config.Secret, what string, fn func(tx pgx.Tx) error) error {
	conn, err := connect(ctx, superURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := changeRoles(ctx, conn, fn); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
