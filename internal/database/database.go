// Package database makes what programs have in PostgreSQL, the roles and schemas of internal/plan,
// on a server of our own and on one that others run.
//
// One list of statements does it, whoever runs them: a superuser, as `gatehouse up` is, or a role
// with nothing but CREATEDB and CREATEROLE, as a managed server gives. From PostgreSQL 16 on such a
// role administers only the roles that it has made. `gatehouse database prepare --print` prints the
// same list.
//
// `gatehouse` and tests import it; no program does: they find their role and schema made.
package database

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/plan"
)

// Program is what one program has.
type Program struct {
	Schemas []string // all are the owner's; roles find the first one by their search path
	Owner   Role
	Serving *Role // nil where the program serves as the owner
}

// Role is a role that signs in.
type Role struct {
	Name        string
	Password    config.Secret // not changed when it is none, or signs in
	Connections int           // most at a time (R86); not changed when 0
}

// Of returns what a plan's programs have. Operators are the operator's variables, which may make
// pools larger; password finds the password of a role.
func Of(p *plan.Plan, operators []string, password func(role string) (config.Secret, error)) ([]Program, error) {
	var all []Program
	for _, program := range p.Programs {
		d := program.Database
		if d == nil {
			continue
		}
		owner, err := roleOf(d.Owner(), operators, password)
		if err != nil {
			return nil, err
		}
		has := Program{Schemas: d.Schemas, Owner: owner}
		if serving := d.Serving(); !serving.Owner {
			role, err := roleOf(serving, operators, password)
			if err != nil {
				return nil, err
			}
			has.Serving = &role
		}
		all = append(all, has)
	}
	return all, nil
}

func roleOf(r plan.Role, operators []string, password func(string) (config.Secret, error)) (Role, error) {
	secret, err := password(r.Name)
	return Role{Name: r.Name, Password: secret, Connections: r.ConnectionLimit(operators)}, err
}

// roles are those of a program.
func (p Program) roles() []Role {
	if p.Serving == nil {
		return []Role{p.Owner}
	}
	return []Role{p.Owner, *p.Serving}
}

// Make makes what programs have, or brings it back to this state, all or nothing: each role can
// sign in, connect to this database and use its program's schemas, and nothing else, neither
// another schema nor a membership; a serving role may do with the tables what the owner's
// migrations grant. admin leads a superuser, or the database's owner with CREATEROLE, to the
// database.
func Make(ctx context.Context, admin config.Secret, programs ...Program) error {
	verifiers, err := changedPasswords(ctx, admin, programs)
	if err != nil {
		return err
	}
	return change(ctx, admin, "make roles and schemas", func(tx pgx.Tx) error { return perform(ctx, tx, steps(programs), verifiers) })
}

// EnsureRole is Make for a role that owns a schema.
func EnsureRole(ctx context.Context, admin config.Secret, role string, password config.Secret, schema string) error {
	return named(Make(ctx, admin, Program{Schemas: []string{schema}, Owner: Role{Name: role, Password: password}}), "role %s with schema %s", role, schema)
}

// EnsureServingRole makes a role that uses the schema of another role, which EnsureRole has made,
// as Make does: nobody can take away what an owner may do, so a program that must not change what
// it wrote serves as such a role and migrates as the owner.
func EnsureServingRole(ctx context.Context, admin config.Secret, role string, password config.Secret, schema, owner string) error {
	if role == owner {
		return fmt.Errorf("role %s cannot serve schema %s without owning it and own it: name another owner", role, schema)
	}
	owned, err := owns(ctx, admin, owner, schema)
	if err != nil {
		return err
	}
	if !owned {
		return fmt.Errorf("schema %s is not owned by %s: make the owner first", schema, owner)
	}
	p := Program{Schemas: []string{schema}, Owner: Role{Name: owner}, Serving: &Role{Name: role, Password: password}}
	return named(Make(ctx, admin, p), "role %s for schema %s of %s", role, schema, owner)
}

func named(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("make "+format+": %w", append(args, err)...)
}

func owns(ctx context.Context, admin config.Secret, owner, schema string) (owned bool, err error) {
	conn, err := connect(ctx, admin)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(ctx) }()
	err = conn.QueryRow(ctx, "select exists (select from pg_namespace n join pg_roles r on r.oid = n.nspowner where nspname = $1 and rolname = $2)", schema, owner).Scan(&owned)
	if err != nil {
		return false, fmt.Errorf("look for the owner of schema %s: %w", schema, err)
	}
	return owned, nil
}
