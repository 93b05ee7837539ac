package pgserver

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
)

// EnsureServingRole makes, or brings back to this state, a role that can sign in with the password, connect to this database and use
// the schema of another role, the owner, without making anything in it: the owner's migrations say what it may do with each table.
// Nobody can take away what an owner may do, so a program that must not change what it wrote serves as such a role and migrates as
// the owner. Call it after EnsureRole of the owner, which takes the rights on the schema from all others.
func EnsureServingRole(ctx context.Context, superURL config.Secret, role string, password config.Secret, schema, owner string) error {
	if role == owner {
		return fmt.Errorf("role %s cannot serve schema %s without owning it and own it: name another owner", role, schema)
	}
	conn, err := connect(ctx, superURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	err = changeRoles(ctx, conn, func(tx pgx.Tx) error { return ensureServingRole(ctx, tx, role, password, schema, owner) })
	if err != nil {
		return fmt.Errorf("make role %s for schema %s of %s: %w", role, schema, owner, err)
	}
	return nil
}

func ensureServingRole(ctx context.Context, tx pgx.Tx, role string, password config.Secret, schema, owner string) error {
	var owned bool
	err := tx.QueryRow(ctx, "select exists (select from pg_namespace where nspname = $1 and nspowner = $2::regrole)", schema, owner).Scan(&owned)
	if err != nil {
		return err
	}
	if !owned {
		return fmt.Errorf("schema %s is not owned by %s: make the owner first", schema, owner)
	}
	current, err := createRole(ctx, tx, role, password)
	if err != nil {
		return err
	}
	err = steps(ctx, tx, []step{
		{"reassign owned by %I to %I", []string{role, owner}}, // what it made when it was the owner
		{"revoke all on schema %I from %I", []string{schema, role}},
		{"grant usage on schema %I to %I", []string{schema, role}},
		{"grant connect on database %I to %I", []string{current, role}},
		{"alter role %I in database %I set search_path = %I", []string{role, current, schema}},
	})
	if err != nil {
		return err
	}
	return revokeMemberships(ctx, tx, role)
}
