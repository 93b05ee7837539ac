package platform

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/pg/pgurl"
	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// The roles and schemas of a server become those of the plan, and stay so; each role's URL, which
// leads through the program's own sidecar, is a secret.
func TestThePlansRolesAndSchemasAreMade(t *testing.T) {
	server, _ := pgtest.Server(t)
	p := testPlatform(t, "GATEHOUSE_POSTGRES_MAX_CONNS=11")
	if err := database.EnsureDatabase(t.Context(), server.SuperURL(postgresDatabase), plan.DatabaseName); err != nil {
		t.Fatal(err)
	}
	programs, err := p.databases()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := database.Make(t.Context(), server.SuperURL(plan.DatabaseName), programs...); err != nil {
			t.Fatal(err)
		}
	}
	limits, owners := map[string]int{}, map[string]string{}
	for _, program := range p.plan.Programs {
		if program.Database == nil {
			continue
		}
		for _, schema := range program.Database.Schemas {
			owners[schema] = program.Database.Owner().Name
		}
		for _, role := range program.Database.Roles {
			limits[role.Name] = role.ConnectionLimit(p.opts.Environ)
			url, err := p.opts.Dir.ReadSecret(plan.URLFile(role.Name))
			if want := "@" + p.address(program.Database.Port) + "/" + plan.DatabaseName + "?"; err != nil || !strings.HasPrefix(url, "postgres://"+role.Name+":") || !strings.Contains(url, want) {
				t.Errorf("the URL of %s leads elsewhere than %s: %v", role.Name, want, err)
			}
		}
	}
	if len(owners) < len(programs)+1 {
		t.Errorf("no program has two schemas: %v", owners)
	}
	settings, err := pgurl.Parse(server.SuperURL(plan.DatabaseName))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	got := map[string]int{}
	pairs(t, conn, "select rolname::text, rolconnlimit from pg_roles where rolcanlogin and not rolsuper", got)
	if diff := cmp.Diff(limits, got); diff != "" {
		t.Errorf("roles with their limits (-want +got):\n%s", diff)
	}
	gotOwners := map[string]string{}
	pairs(t, conn, "select nspname::text, nspowner::regrole::text from pg_namespace where nspname !~ '^pg_' and nspname not in ('public', 'information_schema')", gotOwners)
	if !maps.Equal(owners, gotOwners) {
		t.Errorf("schemas with their owners: %v, want %v", gotOwners, owners)
	}
}

// An instance has a URL of its own for as long as the scale has the instance, and a program that is
// named like one keeps its own.
func TestURLsFollowTheScale(t *testing.T) {
	p := testPlatform(t)
	twin := p.opts.Definition.Programs[0]
	for _, program := range p.opts.Definition.Programs {
		if program.Name == "audit" {
			twin = program
		}
	}
	twin.Name, twin.Slot = "identity-2", 9
	def := *p.opts.Definition
	def.Programs = append(slices.Clone(def.Programs), twin)
	p.opts.Definition, p.plan = &def, plan.Of(&def)
	for _, c := range []struct {
		scale mesh.Scale
		want  map[string]bool
	}{
		{mesh.Scale{"auth": 2}, map[string]bool{"auth": true, "auth-2": true, "identity": true, "identity-2": true}},
		{mesh.Scale{}, map[string]bool{"auth": true, "auth-2": false, "identity": true, "identity-2": true}},
	} {
		p.opts.Scale = c.scale
		if _, err := p.databases(); err != nil {
			t.Fatal(err)
		}
		for name, want := range c.want {
			if _, err := os.Stat(p.opts.Dir.SecretPath(plan.URLFile(name))); (err == nil) != want {
				t.Errorf("scale %q: the URL of %s: %v, want it to be there: %t", c.scale, name, err, want)
			}
		}
	}
}

// pairs reads rows of two columns into a map.
func pairs[V any](t *testing.T, conn *pgx.Conn, sql string, into map[string]V) {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	var name string
	var value V
	if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		into[name] = value
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// A value that this machine does not know stops the start instead of being empty.
func TestAnUnknownSourceIsAnError(t *testing.T) {
	_, err := testPlatform(t).value(process{}, plan.Variable{Name: "GATEHOUSE_MESH_REGION", Source: "region"})
	if err == nil || !strings.Contains(err.Error(), "GATEHOUSE_MESH_REGION") {
		t.Errorf("got %v", err)
	}
}
