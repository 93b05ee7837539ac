package pgserver

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
)

// EnsureSchema makes one more schema that a role of EnsureRole owns, for tables that a library keeps for itself, closed to everybody
// else. superURL leads the superuser to the database that EnsureDatabase made.
func EnsureSchema(ctx context.Context, superURL config.Secret, schema, owner string) error {
	conn, err := connect(ctx, superURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	err = changeRoles(ctx, conn, func(tx pgx.Tx) error {
		if err := run(ctx, tx, "create schema if not exists %I authorization %I", schema, owner); err != nil {
			return err
		}
		if err := run(ctx, tx, "alter schema %I owner to %I", schema, owner); err != nil {
			return err
		}
		return run(ctx, tx, "revoke all on schema %I from public", schema)
	})
	if err != nil {
		return fmt.Errorf("make schema %s of role %s: %w", schema, owner, err)
	}
	return nil
}
