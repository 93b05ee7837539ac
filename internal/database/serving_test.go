package database_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/database"
)

// R72: a role that serves a schema of another role may do what it was granted, table by table, and can give itself no more.
func TestAServingRoleMayDoWhatItsOwnerGranted(t *testing.T) { asSuperuser(t, servingRole) }

func servingRole(t *testing.T, made served) {
	made.services(t)
	server := made.Server
	ensure := func() {
		t.Helper()
		super := made.admin(platformDB)
		if err := database.EnsureRole(t.Context(), super, "audit_owner", password("audit_owner"), "audit"); err != nil {
			t.Fatal(err)
		}
		if err := database.EnsureServingRole(t.Context(), super, "audit", password("audit"), "audit", "audit_owner"); err != nil {
			t.Fatal(err)
		}
	}
	ensure()
	owner, err := connect(t, server, "audit_owner", platformDB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(t.Context(), "create table events (id int); grant select, insert on events to audit"); err != nil {
		t.Fatal(err)
	}
	ensure() // a repetition leaves the grants of the migrations
	super, err := pgx.Connect(t.Context(), server.SuperURL(platformDB).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = super.Close(t.Context()) })
	for _, mistake := range []string{
		"grant create on schema audit to audit with grant option", "grant audit_owner to audit", "alter role audit superuser",
		"create table audit.mine (id int)", "alter table audit.mine owner to audit",
	} {
		if !made.takesBack(t, mistake) {
			continue
		}
		if _, err := super.Exec(t.Context(), mistake); err != nil {
			t.Fatalf("%s: %v", mistake, err)
		}
	}
	ensure() // and takes back what was given by hand
	audit, err := connect(t, server, "audit", platformDB)
	if err != nil {
		t.Fatal(err)
	}
	for _, granted := range []string{"insert into events values (1)", "select * from audit.events"} {
		if _, err := audit.Exec(t.Context(), granted); err != nil {
			t.Errorf("audit may not %s: %v", granted, err)
		}
	}
	for _, refused := range []string{
		"update events set id = 2", "delete from events", "truncate events", "drop table events", "alter table events add c int",
		"alter table events disable trigger all", "create table audit.other (id int)", "create schema other", "set role audit_owner",
		"insert into audit.mine values (1)", "alter table events owner to audit", "drop schema audit cascade",
	} {
		if _, err := audit.Exec(t.Context(), refused); state(err) != "42501" {
			t.Errorf("audit may %s: %v", refused, err)
		}
	}
	identity, err := connect(t, server, "identity", platformDB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identity.Exec(t.Context(), "select * from audit.events"); state(err) != "42501" {
		t.Errorf("identity may read the events: %v", err)
	}
}

func TestAServingRoleNeedsAnotherOwner(t *testing.T) {
	t.Parallel()
	server := services(t)
	for _, owner := range []string{"identity", "auth"} { // itself, and one that does not own the schema
		if err := database.EnsureServingRole(t.Context(), server.SuperURL(platformDB), "identity", password("identity"), "identity", owner); err == nil {
			t.Errorf("identity serves its schema as if %s owned it", owner)
		}
	}
}
