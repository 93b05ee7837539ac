package database_test

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// setup is that of a platform with a program that owns two schemas and one that serves as another
// role than the owner.
func setup(platform string) database.Setup {
	return database.Setup{Platform: platform, Database: platformDB, Programs: []database.Program{
		{Schemas: []string{"authz", "authz_fga"}, Owner: database.Role{Name: "authz", Password: password("authz"), Connections: 7}},
		{
			Schemas: []string{"audit"}, Owner: database.Role{Name: "audit_owner", Password: password("audit_owner"), Connections: 3},
			Serving: &database.Role{Name: "audit", Password: password("audit"), Connections: 5},
		},
	}}
}

// answer is what a server says to who signs in, however long a busy machine takes.
func answer(t *testing.T, address config.Secret) (err error) {
	t.Helper()
	check.Eventually(t, "the server answers", func() bool {
		err = database.Ask(t.Context(), address)
		return err == nil || database.Refused(err)
	})
	return err
}

func runs(t *testing.T, s database.Setup, admin config.Secret) {
	t.Helper()
	if err := s.Run(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
}

// facts are what a server knows of the roles and schemas: attributes, memberships, rights, settings
// and marks, no passwords.
func facts(t *testing.T, server *pgserver.Server) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.SuperURL(platformDB).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), `
		select jsonb_build_array(rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolinherit, rolconnlimit, rolpassword is not null, shobj_description(oid, 'pg_authid'))::text
			from pg_authid where rolname ~ '^(authz|audit)'
		union all select jsonb_build_array(nspname, nspowner::regrole, nspacl)::text from pg_namespace where nspname !~ '^(pg_|information)'
		union all select jsonb_build_array(datname, datacl, shobj_description(oid, 'pg_database'))::text from pg_database where datname = current_database()
		union all select jsonb_build_array(roleid::regrole, member::regrole)::text from pg_auth_members where roleid::regrole::text !~ '^pg_' and not admin_option
		union all select jsonb_build_array(setrole::regrole, setconfig)::text from pg_db_role_setting order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), "landlord", "postgres")
}

// The owner of a managed server has CREATEDB and CREATEROLE and nothing else. What a superuser makes
// it makes, too, and what holds then holds here.
func TestAnOwnerOfAManagedServer(t *testing.T) {
	t.Parallel()
	server, _ := pgtest.Server(t)
	made := served{Server: server, admin: owner(t, server)}
	for name, test := range map[string]func(*testing.T, served){
		"roles cannot read each other's schemas":  cannotRead,
		"rights given by hand are taken back":     takenBack,
		"a password is needed and can be changed": canBeChanged,
		"a serving role":                          servingRole,
		"passwords change only when they differ":  changeWhenTheyDiffer,
		"several at once":                         severalAtOnce,
		"no role keeps it waiting":                keepsWaiting,
		"somebody else's are refused":             refusedByName,
	} {
		t.Run(name, func(t *testing.T) {
			empty(t, server)
			test(t, made)
		})
	}
}

// A superuser, an owner, and what is printed for psql make the same, again and again.
func TestEveryAdminMakesTheSame(t *testing.T) {
	t.Parallel()
	server, _ := pgtest.Server(t)
	landlord := owner(t, server)
	var made []string
	for _, name := range []string{"superuser", "owner", "script", "script of the owner"} {
		empty(t, server)
		admin := server.SuperURL
		if strings.HasSuffix(name, "owner") {
			admin = landlord
		}
		for range 2 {
			if strings.HasPrefix(name, "script") {
				script(t, setup("site"), admin("postgres"), "AUTHZ", "AUDIT", "AUDIT_OWNER")
			} else {
				runs(t, setup("site"), admin("postgres"))
			}
			made = append(made, facts(t, server))
		}
		for _, role := range []string{"authz", "audit", "audit_owner"} {
			if err := answer(t, server.URL(role, password(role), platformDB)); err != nil {
				t.Errorf("%s: %s cannot sign in: %v", name, role, err)
			}
		}
		runs(t, setup("site"), admin("postgres")) // on what either has made
		made = append(made, facts(t, server))
	}
	for i, one := range made {
		if one != made[0] {
			t.Errorf("%d differs:\n%s\nwant\n%s", i, one, made[0])
		}
	}
	if !strings.Contains(made[0], "Gatehouse platform site") || strings.Count(made[0], "\n") < 10 {
		t.Errorf("the facts lack something:\n%s", made[0])
	}
	empty(t, server)
	changeWhenTheyDiffer(t, served{Server: server, admin: server.SuperURL, super: true})
	empty(t, server)
	ownServer(t, server)
}

// script runs what is printed, with the passwords of the roles in the environment.
func script(t *testing.T, s database.Setup, admin config.Secret, roles ...string) {
	t.Helper()
	var text bytes.Buffer
	if err := (database.Setup{Platform: "a'b"}).Script(&text); err == nil || text.Len() > 0 {
		t.Errorf("a script for a platform that no mark can name: %v", err)
	}
	if err := s.Script(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "pw-") || strings.Contains(text.String(), "SCRAM-SHA-256$") {
		t.Error("the script holds a password")
	}
	cmd := exec.CommandContext(t.Context(), "psql", "-X", "-q", admin.Reveal())
	cmd.Stdin = &text
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	for _, role := range roles {
		cmd.Env = append(cmd.Env, role+"_PASSWORD="+password(strings.ToLower(role)).Reveal())
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
}

// changeWhenTheyDiffer: passwords change when they are others, and only then; without any they
// stay, and no role is made without.
func changeWhenTheyDiffer(t *testing.T, made served) {
	s := setup("site")
	s.Programs[0].Owner.Password = config.Secret{}
	if err := s.Run(t.Context(), made.admin("postgres")); err == nil || !strings.Contains(err.Error(), "AUTHZ_PASSWORD_FILE") {
		t.Errorf("no password for a role that is to be made: %v", err)
	}
	runs(t, setup("site"), made.admin("postgres"))
	verifiers := func() []string {
		return rows(t, made.Server, "select rolpassword from pg_authid where rolname in ('authz', 'audit') order by 1")
	}
	first := verifiers()
	runs(t, setup("site"), made.admin("postgres"))
	runs(t, s, made.admin("postgres"))
	if again := verifiers(); !slices.Equal(first, again) {
		t.Error("the same passwords, or none, are set again")
	}
	s.Programs[0].Owner.Password = config.NewSecret("other")
	runs(t, s, made.admin("postgres"))
	if err := answer(t, made.URL("authz", config.NewSecret("other"), platformDB)); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if err := answer(t, made.URL("authz", password("authz"), platformDB)); !database.Refused(err) {
		t.Errorf("the old password: %v", err)
	}
	s.Programs[0].Owner.Password = config.NewSecret("schön")
	if err := s.Run(t.Context(), made.admin("postgres")); err == nil || !strings.Contains(err.Error(), "ASCII") || strings.Contains(err.Error(), "schön") {
		t.Errorf("a password that PostgreSQL would prepare: %v", err)
	}
}

func rows(t *testing.T, server *pgserver.Server, sql string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.SuperURL(platformDB).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	found, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// refusedByName: what somebody else has made is named, and nothing changes.
func refusedByName(t *testing.T, made served) {
	server, admin := made.Server, made.admin
	refused := func(s database.Setup, admin config.Secret, wants ...string) {
		t.Helper()
		before := pgtest.Others(t, server, "nothing is ours")
		err := s.Run(t.Context(), admin)
		for _, want := range append(wants, "") {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want one sentence with %q", err, want)
			}
		}
		if after := pgtest.Others(t, server, "nothing is ours"); after != before {
			t.Errorf("something changed from\n%s\nto\n%s", before, after)
		}
	}
	execute(t, server, "postgres", "create database gatehouse", "create role audit login password 'theirs'")
	refused(setup("site"), admin("postgres"), "a database gatehouse and a role audit", "nothing was changed", `comment on database "gatehouse" is 'Gatehouse platform site'`)
	execute(t, server, "postgres", "drop database gatehouse", "drop role audit", `create role "corner-shop"`, `create database "gatehouse-site"`)
	shop := setup("site")
	shop.Programs = append(shop.Programs, database.Program{Schemas: []string{"corner-shop"}, Owner: database.Role{Name: "corner-shop", Password: password("x")}})
	refused(shop, admin("postgres"), "a role corner-shop", `comment on role "corner-shop" is 'Gatehouse platform site'`)
	execute(t, server, "postgres", `comment on role "corner-shop" is 'Gatehouse platform site'`)
	refused(shop, admin("postgres"), `database gatehouse-site that somebody else has made: let them drop it`)
	execute(t, server, "postgres", `drop role "corner-shop"`, `drop database "gatehouse-site"`, "create role weak login createdb password 'x'", "create role shy login createdb createrole noinherit password 'x'")
	refused(setup("site"), server.URL("weak", config.NewSecret("x"), "postgres"), `alter role "weak" createdb createrole`)
	if major := majorOf(t, server); major < 16 {
		refused(setup("site"), server.URL("shy", config.NewSecret("x"), "postgres"), `alter role "shy" inherit`)
	}
	refused(setup("Site's"), admin("postgres"), "lower-case letters")
	own := setup("site")
	own.OwnServer = true
	refused(own, admin("postgres"), "not a superuser", "--own-server")
	runs(t, setup("site"), admin("postgres"))
	refused(setup("other"), admin("postgres"), "belongs to the platform site", "this one is named other", "--platform site", "nothing was changed")
	refused(setup("site"), server.URL("shy", config.NewSecret("x"), "postgres")) // it made neither the database nor the roles
	// What only a superuser takes back is said, and left to one.
	execute(t, server, "postgres", "alter role audit superuser")
	refused(setup("site"), admin("postgres"), "take the role that made the database and the roles, or a superuser")
	runs(t, setup("site"), server.SuperURL("postgres"))
	runs(t, setup("site"), admin("postgres"))
}

// majorOf is the server's major version.
func majorOf(t *testing.T, server *pgserver.Server) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.SuperURL("postgres").Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var version int
	if err := conn.QueryRow(t.Context(), "select current_setting('server_version_num')::int / 10000").Scan(&version); err != nil {
		t.Fatal(err)
	}
	return version
}

// severalAtOnce take turns.
func severalAtOnce(t *testing.T, made served) {
	runs(t, setup("site"), made.admin("postgres"))
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if err := setup("site").Run(t.Context(), made.admin("postgres")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// keepsWaiting: no role of a program can keep from an owner what guards the change of roles (R86).
func keepsWaiting(t *testing.T, made served) {
	server, admin := made.Server, made.admin
	runs(t, setup("site"), admin("postgres"))
	authz, err := connect(t, server, "authz", platformDB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authz.Exec(t.Context(), "begin; lock table pg_catalog.pg_shdescription in access share mode"); err != nil {
		t.Fatal(err)
	}
	if _, err := authz.Exec(t.Context(), "comment on database gatehouse is 'mine'"); state(err) != "42501" {
		t.Errorf("a role may comment on the database: %v", err)
	}
	if err := setup("site").Run(t.Context(), admin("postgres")); err != nil {
		t.Errorf("beside a role that tried: %v", err)
	}
}

// ownServer: on a server of the platform's own no role reaches another one (R86).
func ownServer(t *testing.T, server *pgserver.Server) {
	s := setup("site")
	s.OwnServer = true
	for range 2 {
		runs(t, s, server.SuperURL("postgres"))
	}
	authz, err := connect(t, server, "authz", platformDB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authz.Exec(t.Context(), "select pg_advisory_lock(1)"); state(err) != "42501" {
		t.Errorf("an advisory lock: %v", err)
	}
	if _, err := connect(t, server, "authz", "postgres"); state(err) != "42501" {
		t.Errorf("another database: %v", err)
	}
}
