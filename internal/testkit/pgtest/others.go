package pgtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/pg/pgurl"
)

// Others is everything that a server knows, passwords included, of roles, memberships, settings,
// comments and databases whose names do not match ours, and of schemas, relations and default
// rights in the databases named: to compare before and after.
func Others(t testing.TB, server *pgserver.Server, ours string, databases ...string) string {
	t.Helper()
	shared := `
		select to_jsonb(a) from pg_authid a where rolname !~ $1
		union all select jsonb_build_array(r.rolname, m.rolname, admin_option) from pg_auth_members
			join pg_roles r on r.oid = roleid join pg_roles m on m.oid = member where m.rolname !~ $1 or r.rolname !~ $1
		union all select jsonb_build_array(setdatabase, setrole::regrole, setconfig) from pg_db_role_setting where setrole::regrole::text !~ $1
		union all select to_jsonb(d) - 'datfrozenxid' - 'datminmxid' from pg_database d where datname !~ $1
		union all select to_jsonb(c) from pg_shdescription c where not exists (select from pg_roles where oid = objoid and rolname ~ $1)
			and not exists (select from pg_database where oid = objoid and datname ~ $1)`
	inside := `
		select to_jsonb(n) from pg_namespace n where nspname !~ '^pg_t' and $1 = $1
		union all select jsonb_build_array(relname, relowner, relacl) from pg_class
		union all select to_jsonb(p) from pg_default_acl p`
	var lines []string
	for _, name := range append([]string{"postgres"}, databases...) {
		settings, err := pgurl.Parse(server.SuperURL(name))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.ConnectConfig(t.Context(), settings)
		if err != nil {
			t.Fatal(err)
		}
		for _, query := range []string{shared, inside} {
			rows, err := conn.Query(t.Context(), query, ours)
			if err != nil {
				t.Fatal(err)
			}
			found, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, found...)
		}
		_ = conn.Close(t.Context())
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
