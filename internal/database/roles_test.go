package database_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

const platformDB = "gatehouse"

// served is a server with who makes roles on it.
type served struct {
	*pgserver.Server
	admin func(name string) config.Secret
	super bool // and it is a superuser
}

// asSuperuser runs a test on a server of its own, whose superuser makes the roles.
func asSuperuser(t *testing.T, test func(t *testing.T, server served)) {
	t.Parallel()
	server, _ := pgtest.Server(t)
	test(t, served{Server: server, admin: server.SuperURL, super: true})
}

// empty takes away what a test has made on a server, and opens what it has closed.
func empty(t *testing.T, server *pgserver.Server) {
	t.Helper()
	execute(t, server, "postgres", "drop database if exists gatehouse with (force)", "drop role if exists identity, auth, authz, audit, audit_owner, weak, shy",
		"grant connect on database postgres to public")
}

// takesBack reports whether the admin can take back what the superuser did by hand: attributes of
// superusers it never can, memberships no more from PostgreSQL 16 on.
func (s served) takesBack(t *testing.T, mistake string) bool {
	t.Helper()
	membership := strings.HasPrefix(mistake, "grant ") && !strings.Contains(mistake, " on ")
	return s.super || !strings.HasSuffix(mistake, " superuser") && (!membership || majorOf(t, s.Server) < 16)
}

// owner makes a role with nothing but CREATEDB and CREATEROLE.
func owner(t *testing.T, server *pgserver.Server) func(name string) config.Secret {
	t.Helper()
	execute(t, server, "postgres", "create role landlord login createdb createrole password 'landlord'", "grant connect on database postgres to landlord")
	return func(name string) config.Secret { return server.URL("landlord", config.NewSecret("landlord"), name) }
}

// services makes the roles of two services.
func (s served) services(t *testing.T) {
	t.Helper()
	for range 2 { // all are idempotent
		if err := database.CloseServer(t.Context(), s.SuperURL("postgres")); err != nil {
			t.Fatal(err)
		}
		if err := database.EnsureDatabase(t.Context(), s.admin("postgres"), platformDB); err != nil {
			t.Fatal(err)
		}
		for _, role := range []string{"identity", "auth"} {
			if err := database.EnsureRole(t.Context(), s.admin(platformDB), role, password(role), role); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// services makes the roles of two services on a server of the test's own.
func services(t *testing.T) *pgserver.Server {
	t.Helper()
	server, _ := pgtest.Server(t)
	served{Server: server, admin: server.SuperURL}.services(t)
	return server
}

func password(role string) config.Secret { return config.NewSecret("pw-'\"\\ $ of " + role) }

func connect(t *testing.T, server *pgserver.Server, role, to string) (*pgx.Conn, error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL(role, password(role), to).Reveal())
	if err == nil {
		t.Cleanup(func() { _ = conn.Close(t.Context()) })
	}
	return conn, err
}

func state(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

func TestRolesCannotReadEachOthersSchemas(t *testing.T) { asSuperuser(t, cannotRead) }

func cannotRead(t *testing.T, made served) {
	made.services(t)
	server := made.Server
	identity, err := connect(t, server, "identity", platformDB)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := connect(t, server, "auth", platformDB)
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{
		"create table users (id int); insert into users values (1); grant all on users to public; grant all on users to auth",
		"create function identity.peek() returns bigint language sql as 'select count(*) from identity.users'",
		"create view identity.seen as select * from identity.users; grant all on identity.seen to public",
	} {
		if _, err := identity.Exec(t.Context(), own); err != nil {
			t.Fatalf("%s: %v", own, err)
		}
	}
	const denied = "42501"
	for _, foreign := range []string{
		"select * from identity.users", "insert into identity.users values (2)", "select identity.peek()", "select * from identity.seen",
		"create table identity.mine (id int)", "create schema mine", "create table public.mine (id int)", "create temporary table mine (id int)",
		"create database mine", "create role mine", "set role identity", "alter role identity password 'x'", "alter role auth superuser",
		"drop schema identity cascade", "grant auth to identity", "copy (select 1) to program 'true'", "select pg_read_file('/etc/passwd')",
		"select rolpassword from pg_authid",
	} {
		_, err := auth.Exec(t.Context(), foreign)
		if got := state(err); got != denied && !(strings.HasPrefix(foreign, "grant") && err == nil) {
			t.Errorf("auth may %s: %s", foreign, got)
		}
	}
	for _, other := range []string{"postgres", "template1"} {
		if _, err := connect(t, server, "auth", other); state(err) != denied {
			t.Errorf("auth may connect to %s: %v", other, err)
		}
	}
}

func TestRightsGivenByHandAreTakenBack(t *testing.T) { asSuperuser(t, takenBack) }

func takenBack(t *testing.T, made served) {
	made.services(t)
	server := made.Server
	super, err := pgx.Connect(t.Context(), server.SuperURL(platformDB).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = super.Close(t.Context()) })
	for _, mistake := range []string{
		"create table identity.users (id int)", "alter table identity.users owner to identity",
		"grant usage on schema identity to auth with grant option", "grant usage on schema identity to public",
		"grant identity to auth", "grant pg_read_all_data to auth", "alter role auth superuser", "grant select on identity.users to auth",
	} {
		if !made.takesBack(t, mistake) {
			continue
		}
		if _, err := super.Exec(t.Context(), mistake); err != nil {
			t.Fatalf("%s: %v", mistake, err)
		}
	}
	for _, role := range []string{"auth", "identity"} {
		if err := database.EnsureRole(t.Context(), made.admin(platformDB), role, password(role), role); err != nil {
			t.Fatal(err)
		}
	}
	auth, err := connect(t, server, "auth", platformDB)
	if err != nil {
		t.Fatal(err)
	}
	for _, foreign := range []string{"select * from identity.users", "set role identity"} {
		if _, err := auth.Exec(t.Context(), foreign); state(err) != "42501" {
			t.Errorf("auth may still %s: %v", foreign, err)
		}
	}
}

func TestAPasswordIsNeededAndCanBeChanged(t *testing.T) { asSuperuser(t, canBeChanged) }

func canBeChanged(t *testing.T, made served) {
	made.services(t)
	server, changed := made.Server, config.NewSecret("changed")
	if err := database.EnsureRole(t.Context(), made.admin(platformDB), "auth", changed, "auth"); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, server, "auth", platformDB); state(err) != "28P01" {
		t.Errorf("the old password: %v", err)
	}
	if _, err := pgx.Connect(t.Context(), server.URL("auth", config.Secret{}, platformDB).Reveal()); err == nil {
		t.Error("no password is needed")
	}
	conn, err := pgx.Connect(t.Context(), server.URL("auth", changed, platformDB).Reveal())
	if err != nil {
		t.Fatalf("the new password: %v", err)
	}
	_ = conn.Close(t.Context())
	super, err := pgx.Connect(t.Context(), server.SuperURL(platformDB).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = super.Close(t.Context()) }()
	var plain int
	err = super.QueryRow(t.Context(), "select count(*) from pg_authid where rolpassword is not null and rolpassword not like 'SCRAM-SHA-256$%'").Scan(&plain)
	if err != nil || plain != 0 {
		t.Errorf("%d passwords are not stored as SCRAM verifiers, %v", plain, err)
	}
}

// R86: a role cannot keep the locks that guard what makes the roles: neither the advisory one of
// before nor that of a catalog. Its own rows of the catalogs it can keep, and then the start says
// before long what to do.
func TestNoRoleHoldsUpTheNextStart(t *testing.T) {
	t.Parallel()
	server := services(t)
	auth, err := connect(t, server, "auth", platformDB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auth.Exec(t.Context(), "select pg_advisory_lock(hashtext('gatehouse roles')); begin; lock table pg_catalog.pg_shdescription in access share mode"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := database.EnsureRole(ctx, server.SuperURL(platformDB), "identity", password("identity"), "identity"); err != nil {
		t.Errorf("beside a role that holds locks: %v", err)
	}
	if _, err := auth.Exec(t.Context(), "lock table pg_catalog.pg_shdescription in share row exclusive mode"); state(err) != "42501" {
		t.Errorf("auth may lock the catalog: %v", err)
	}
	for name, own := range map[string]string{
		"password": "alter role auth password 'x'", "setting": "alter role auth in database gatehouse set work_mem = '1MB'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for as long as `up` does
			keptByItsRole(t, own)
		})
	}
}

func keptByItsRole(t *testing.T, own string) {
	server := services(t)
	auth, err := connect(t, server, "auth", platformDB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auth.Exec(t.Context(), "begin; "+own); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ensure := func() error {
		return database.EnsureRole(ctx, server.SuperURL(platformDB), "auth", password("auth"), "auth")
	}
	err = ensure()
	for _, want := range []string{"another session", "pg_stat_activity", "pg_terminate_backend", "start again"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want a sentence with %q", err, want)
		}
	}
	execute(t, server, platformDB, "select pg_terminate_backend(pid) from pg_stat_activity where xact_start is not null and pid <> pg_backend_pid() and usename = 'auth'")
	if err := ensure(); err != nil {
		t.Errorf("after its session was ended: %v", err)
	}
}
