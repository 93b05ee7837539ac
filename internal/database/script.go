package database

import (
	"fmt"
	"io"
	"strings"
)

// Script writes what Run does as a script for psql, for whoever may not let a program do it. It
// holds no password: those come from the variables that Run's do, and a role whose variable is not
// set keeps its own.
func (s Setup) Script(w io.Writer) error {
	if err := s.named(); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `-- The database, roles and schemas of the platform %[1]s, for psql 15 or newer, as a superuser or as a role with
-- CREATEDB and CREATEROLE. It may run again. Passwords, or their SCRAM verifiers, are taken from the environment:
-- %[2]s.
\set ON_ERROR_STOP on

`, s.Platform, strings.Join(s.passwordVariables(), ", "))
	for _, one := range s.outside() {
		one.print(&b)
	}
	fmt.Fprintf(&b, "\\connect %s\nbegin;\nset local lock_timeout = %d;\n", name(s.Database), lockWait.Milliseconds())
	step{each: true, sql: sameComment}.print(&b)
	for _, one := range s.inside() {
		one.print(&b)
	}
	b.WriteString("commit;\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (s Setup) passwordVariables() []string {
	var all []string
	for _, role := range roleNames(s.Programs) {
		all = append(all, PasswordVariable(role))
	}
	return all
}

// outside are the statements before the database is there: nothing of somebody else's, then the
// database, which gets its name after its mark.
func (s Setup) outside() []step {
	fresh, marked := s.Database+"-"+s.Platform, `~ `+literal(mark(s.Platform)+`($|[^a-z0-9-])`)
	return []step{
		{sql: `do $$ declare strange text; begin
	select string_agg(what, ', ') into strange from (
		select 'database ' || datname, shobj_description(oid, 'pg_database') from pg_database where datname = ` + literal(s.Database) + `
		union all select 'role ' || rolname, shobj_description(oid, 'pg_authid') from pg_roles where rolname in (` + literals(roleNames(s.Programs)) + `)
	) t (what, comment) where coalesce(comment, '') !` + marked + `;
	if strange is not null then
		raise exception '% on this server: not made for the platform ` + s.Platform + `', strange using hint = 'Rename what is in the way, or mark it by its comment.';
	end if;
end $$`},
		{each: true, sql: `select format('create database %I', d) from (values (` + literal(fresh) + `)) v (d)
	where not exists (select from pg_database where datname in (d, ` + literal(s.Database) + `))`},
		{each: true, sql: `select format('comment on database %I is %L', datname, ` + literal(mark(s.Platform)) + `) from pg_database where datname = ` + literal(fresh)},
		{each: true, sql: `select format('alter database %I rename to %I', datname, ` + literal(s.Database) + `) from pg_database
	where datname = ` + literal(fresh) + ` and not exists (select from pg_database where datname = ` + literal(s.Database) + `)`},
	}
}

// print writes a statement in psql's language.
func (s step) print(b *strings.Builder) {
	switch {
	case s.each:
		fmt.Fprintf(b, "%s \\gexec\n", s.sql)
	case s.sets != "":
		variable := strings.ToLower(PasswordVariable(s.sets))
		fmt.Fprintf(b, "\\getenv %[1]s %[2]s\n\\if :{?%[1]s}\n%[3]s:'%[1]s';\n\\endif\n", variable, PasswordVariable(s.sets), s.sql)
	default:
		fmt.Fprintf(b, "%s;\n", s.sql)
	}
}

func literals(texts []string) string {
	var all []string
	for _, text := range texts {
		all = append(all, literal(text))
	}
	return strings.Join(all, ", ")
}
