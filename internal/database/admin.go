package database

import (
	"context"
	"errors"
	"fmt"
)

// MinMajor is the oldest PostgreSQL that the migrations are tested with.
const MinMajor = 15

// admin is the role that makes others.
type admin struct {
	name                         string
	super, creates, createsRoles bool
	inherits                     bool
	major                        int
}

// adminOf looks at the role of a connection, and at its server, and says what the server lacks.
func adminOf(ctx context.Context, db querier) (admin, error) {
	var a admin
	var standby bool
	var version int
	err := db.QueryRow(ctx, `select rolname, rolsuper, rolcreatedb, rolcreaterole, rolinherit, pg_is_in_recovery(), current_setting('server_version_num')::int
		from pg_roles where rolname = current_user`).Scan(&a.name, &a.super, &a.creates, &a.createsRoles, &a.inherits, &standby, &version)
	a.major = version / 10000
	switch {
	case err != nil:
		return a, fmt.Errorf("look for the rights of the role: %w", err)
	case a.major < MinMajor:
		return a, fmt.Errorf("it is PostgreSQL %d: name a server of version %d or newer", a.major, MinMajor)
	case standby:
		return a, errors.New("it is a standby, which changes nothing: name the primary server")
	}
	return a, nil
}

// suffices says which right the role lacks to make roles and the database.
func (a admin) suffices() error {
	switch {
	case a.super:
		return nil
	case !a.creates || !a.createsRoles:
		return fmt.Errorf("role %s may not make databases and roles: name one that may, or let the operator run `alter role %s createdb createrole`", a.name, name(a.name))
	case a.major < 16 && !a.inherits: // then being a member of a role is not enough to act as it
		return fmt.Errorf("role %s does not inherit rights: let the operator run `alter role %s inherit`", a.name, name(a.name))
	}
	return nil
}
