package database

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
)

// step is a statement.
type step struct {
	sql  string
	each bool   // it is a query, and its rows are the statements
	sets string // it sets the password of this role: the verifier, or the password, follows
}

// perform executes steps. Passwords that are not among the changed ones stay.
func perform(ctx context.Context, tx pgx.Tx, list []step, changed map[string]config.Secret) error {
	for _, s := range list {
		var err error
		switch secret, set := changed[s.sets]; {
		case s.each:
			err = execEach(ctx, tx, s.sql)
		case s.sets == "":
			_, err = tx.Exec(ctx, s.sql)
		case set:
			_, err = tx.Exec(ctx, s.sql+literal(secret.Reveal()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// steps are the statements for programs, in a transaction of their database.
func steps(programs []Program) []step {
	var list []step
	for _, p := range programs {
		list = append(list, p.steps()...)
	}
	for _, p := range programs {
		list = append(list, p.release()...)
	}
	return list
}

// steps are the statements for one program. At their end who runs them, unless it is a superuser,
// is a member of the roles.
func (p Program) steps() []step {
	owner, first := p.Owner, p.Schemas[0]
	list := owner.create()
	if p.Serving != nil {
		list = append(list, p.Serving.create()...)
	}
	for _, schema := range p.Schemas {
		list = append(list,
			step{sql: "create schema if not exists " + name(schema) + " authorization " + name(owner.Name)},
			step{sql: "alter schema " + name(schema) + " owner to " + name(owner.Name)},
			step{sql: "revoke all on schema " + name(schema) + " from public"},
		)
	}
	list = append(list, strangers(first))
	list = append(list, owner.use(first)...)
	if p.Serving == nil {
		return list
	}
	return append(append(list,
		step{sql: "reassign owned by " + name(p.Serving.Name) + " to " + name(owner.Name)}, // what it made when it was the owner
		step{sql: "grant usage on schema " + name(first) + " to " + name(p.Serving.Name)},
	), p.Serving.use(first)...)
}

// create makes a role, or brings it back to one that can sign in and do nothing in the database.
// Attributes that only a superuser may name are named only where the role has them.
func (r Role) create() []step {
	limit := ""
	if r.Connections > 0 {
		limit = fmt.Sprintf(" connection limit %d", r.Connections)
	}
	return []step{
		{each: true, sql: `select format('create role %I', r) from (values (` + literal(r.Name) + `)) v (r) where not exists (select from pg_roles where rolname = r)`},
		{each: true, sql: `select format('alter role %I nosuperuser noreplication nobypassrls', rolname) from pg_roles
	where rolname = ` + literal(r.Name) + ` and (rolsuper or rolreplication or rolbypassrls)`},
		{sql: "alter role " + name(r.Name) + " with login nocreatedb nocreaterole noinherit" + limit},
		{sql: "alter role " + name(r.Name) + " password ", sets: r.Name},
		// Whoever is no superuser must be a member of a role to give it a schema, or change what it has.
		{each: true, sql: `select format(case when current_setting('server_version_num')::int < 160000 then 'grant %I to %I'
	else 'grant %I to %I with inherit true, set true' end, ` + literal(r.Name) + `, rolname)
	from pg_roles where rolname = current_user and not rolsuper`},
		{sql: "revoke all on schema public from public, " + name(r.Name)},
		{each: true, sql: `select format('revoke all on database %I from %I', current_database(), ` + literal(r.Name) + `)`},
	}
}

// use lets a role connect and find its schema, and takes away its memberships and its members.
func (r Role) use(schema string) []step {
	return []step{
		{each: true, sql: `select format('grant connect on database %I to %I', current_database(), ` + literal(r.Name) + `)`},
		{each: true, sql: `select format('alter role %I in database %I set search_path = %I', ` + literal(r.Name) + `, current_database(), ` + literal(schema) + `)`},
		{each: true, sql: `select format('revoke %I from %I', g.rolname, m.rolname)
	|| case when current_setting('server_version_num')::int < 160000 then '' else format(' granted by %I', by.rolname) end
	from pg_auth_members am join pg_roles g on g.oid = am.roleid join pg_roles m on m.oid = am.member join pg_roles by on by.oid = am.grantor
	where m.rolname <> current_user and not (am.admin_option and m.rolcreaterole)
	and (m.rolname = ` + literal(r.Name) + ` or (g.rolname = ` + literal(r.Name) + ` and not m.rolsuper))`},
	}
}

// strangers takes away what somebody granted by hand: other roles' rights on the schema.
func strangers(schema string) step {
	return step{each: true, sql: `select format('revoke all on schema %I from %I cascade', n.nspname, g.rolname)
	from pg_namespace n, aclexplode(n.nspacl) a join pg_roles g on g.oid = a.grantee
	where n.nspname = ` + literal(schema) + ` and a.grantee <> n.nspowner`}
}

// release ends the memberships that create began.
func (p Program) release() []step {
	var list []step
	for _, r := range p.roles() {
		list = append(list, step{each: true, sql: `select format(case when current_setting('server_version_num')::int < 160000 then 'revoke %I from %I'
	else 'revoke %I from %I granted by %2$I' end, ` + literal(r.Name) + `, rolname) from pg_roles where rolname = current_user and not rolsuper`})
	}
	return list
}

// name is an identifier.
func name(text string) string { return pgx.Identifier{text}.Sanitize() }

// literal is a text of SQL.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
