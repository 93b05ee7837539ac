package database_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// claim is what a platform wants whose id ends in the digit. Cases share a server, so each has
// names of its own.
func claim(name string, digit int) database.Claim {
	return database.Claim{
		Platform: fmt.Sprintf("00000000-0000-4000-8000-%012d", digit), Database: name,
		Programs: []database.Program{
			{Schemas: []string{name + "_users"}, Owner: database.Role{Name: name + "_users", Password: password(fmt.Sprint(digit))}},
			{
				Schemas: []string{name + "_trail"}, Owner: database.Role{Name: name + "_trail_owner", Password: password(fmt.Sprint(digit))},
				Serving: &database.Role{Name: name + "_trail", Password: password(fmt.Sprint(digit))},
			},
		},
	}
}

// ensure does what `up` does with a database that is its own.
func ensure(t *testing.T, server *pgserver.Server, c database.Claim) {
	t.Helper()
	err := errors.Join(
		database.EnsureDatabase(t.Context(), server.SuperURL("postgres"), c.Database),
		database.Make(t.Context(), server.SuperURL(c.Database), c.Programs...),
	)
	if err != nil {
		t.Fatal(err)
	}
}

func execute(t *testing.T, server *pgserver.Server, name string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.SuperURL(name).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// take claims and says what changed of others, which must be nothing; refused is what a refusal
// must say, or empty.
func take(t *testing.T, server *pgserver.Server, c database.Claim, refused ...string) {
	t.Helper()
	ours := "^" + c.Database + "(_|-|$)"
	if len(refused) > 0 {
		ours = "nothing is ours"
	}
	before := pgtest.Others(t, server, ours, "template1", "shop")
	err := c.Take(t.Context(), server.SuperURL)
	if len(refused) == 0 {
		if err != nil {
			t.Errorf("refused: %v", err)
			return
		}
		ensure(t, server, c)
	}
	for _, want := range refused {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want a sentence with %q", err, want)
		}
	}
	if after := pgtest.Others(t, server, ours, "template1", "shop"); after != before {
		t.Errorf("others' things changed from\n%s\nto\n%s", before, after)
	}
}

func signsIn(t *testing.T, server *pgserver.Server, c database.Claim) {
	t.Helper()
	for _, program := range c.Programs {
		for _, role := range []*database.Role{&program.Owner, program.Serving} {
			if role == nil {
				continue
			}
			if err := database.Ask(t.Context(), server.URL(role.Name, role.Password, c.Database)); err != nil {
				t.Errorf("%s cannot sign in: %v", role.Name, err)
			}
		}
	}
}

// On a server that others use too, nothing changes that is not the platform's, and a platform's is
// not changed by another one.
func TestClaims(t *testing.T) {
	t.Parallel()
	server, _ := pgtest.Server(t)
	execute(t, server, "postgres", "create role boss createdb password 'x'", "comment on role boss is 'of the company'", "create database shop owner boss",
		"grant connect on database postgres to boss", "alter role boss set work_mem = '1MB'", "create table till (id int)", "grant select on till to boss")
	for name, test := range map[string]func(*testing.T, *pgserver.Server){
		"empty": func(t *testing.T, server *pgserver.Server) {
			take(t, server, claim("empty", 1))
			take(t, server, claim("empty", 1)) // again
			signsIn(t, server, claim("empty", 1))
		},
		"role": func(t *testing.T, server *pgserver.Server) {
			execute(t, server, "postgres", "create role role_trail login createdb password 'theirs'", "grant boss to role_trail", "create role role_users")
			take(t, server, claim("role", 1), "a role role_users and a role role_trail", "nothing was changed", "rename")
			execute(t, server, "postgres", "alter role role_trail rename to old_trail", "alter role role_users rename to old_users")
			take(t, server, claim("role", 1))
			execute(t, server, "postgres", "create role role_more")
			more := claim("role", 1) // a program of a later version
			more.Programs = append(more.Programs, database.Program{Schemas: []string{"role_more"}, Owner: database.Role{Name: "role_more"}})
			take(t, server, more, "a role role_more")
			signsIn(t, server, claim("role", 1))
		},
		"database": func(t *testing.T, server *pgserver.Server) {
			execute(t, server, "postgres", "create database taken")
			for _, adopt := range []string{"", database.Unmarked} {
				c := claim("taken", 1)
				c.Adopt = adopt
				take(t, server, c, "a database taken", "nothing was changed")
			}
		},
		"second":    second,
		"before":    before,
		"killed":    killed,
		"no rights": unprivileged,
	} {
		t.Run(name, func(t *testing.T) { test(t, server) })
	}
}

// second: a platform with another state folder does not touch what the first has, unless its
// operator says that the first is lost.
func second(t *testing.T, server *pgserver.Server) {
	first, other := claim("second", 1), claim("second", 2)
	take(t, server, first)
	execute(t, server, "postgres", "comment on role second_users is 'asked for by Kim. Gatehouse platform "+first.Platform+"'")
	take(t, server, other, first.Platform, other.Platform, "nothing was changed", "--adopt "+first.Platform)
	other.Adopt = database.Unmarked
	take(t, server, other, first.Platform)
	signsIn(t, server, first)
	take(t, server, first)
	other.Adopt = first.Platform
	take(t, server, other)
	signsIn(t, server, other)
	take(t, server, first, other.Platform, "nothing was changed")
	var comment string
	conn, err := pgx.Connect(t.Context(), server.SuperURL("postgres").Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	err = conn.QueryRow(t.Context(), "select shobj_description('second_users'::regrole, 'pg_authid')").Scan(&comment)
	if want := "asked for by Kim. Gatehouse platform " + other.Platform; err != nil || comment != want {
		t.Errorf("the comment is %q, %v; want %q", comment, err, want)
	}
}

// before: a version that left no marks has made the database.
func before(t *testing.T, server *pgserver.Server) {
	own, other := claim("before", 1), claim("before", 2)
	ensure(t, server, own)
	take(t, server, other, "left no marks", "nothing was changed", "--adopt unmarked")
	signsIn(t, server, own)
	take(t, server, own)
	take(t, server, other, own.Platform)
	execute(t, server, "postgres", "comment on database before is null", "comment on role before_users is null", "comment on role before_trail is null",
		"comment on role before_trail_owner is 'ours'")
	other.Adopt = database.Unmarked
	take(t, server, other)
	signsIn(t, server, other)
	take(t, server, own, other.Platform)
}

// A server that asks nobody for a password proves nothing.
func TestATrustingServerProvesNothing(t *testing.T) {
	t.Parallel()
	server, process := pgtest.Server(t)
	execute(t, server, "postgres", "create database shop")
	own := claim("trust", 1)
	ensure(t, server, own)
	if err := process.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(server.DataDir, "pg_hba.conf"), []byte("host all all 127.0.0.1/32 trust\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := server.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Kill() })
	for _, c := range []database.Claim{claim("trust", 2), own} {
		take(t, server, c, "does not refuse a wrong password for trust_users", "nothing was changed", "--adopt unmarked")
	}
	own.Adopt = database.Unmarked
	take(t, server, own)
	take(t, server, claim("trust", 2), own.Platform)
}

// killed: between its steps, `up` leaves nothing that nobody owns.
func killed(t *testing.T, server *pgserver.Server) {
	own := claim("killed", 1)
	execute(t, server, "postgres", "create role killed_users", "comment on role killed_users is 'Gatehouse platform "+own.Platform+"'",
		`create database "killed-`+own.Platform+`"`)
	take(t, server, claim("killed", 2), own.Platform)
	take(t, server, own)
	signsIn(t, server, own)
}

func unprivileged(t *testing.T, server *pgserver.Server) {
	execute(t, server, "postgres", "create role almost login createdb createrole password 'x'")
	err := claim("none", 1).Take(t.Context(), func(name string) config.Secret { return server.URL("almost", config.NewSecret("x"), name) })
	if err == nil || !strings.Contains(err.Error(), "role almost is not a superuser") {
		t.Errorf("%v", err)
	}
}

// Of platforms that come at once, one gets everything and the others say whose it is.
func TestOfPlatformsThatComeAtOnceOneGetsAll(t *testing.T) {
	t.Parallel()
	server, _ := pgtest.Server(t)
	execute(t, server, "postgres", "create database shop")
	for round := range 5 {
		name := fmt.Sprintf("round%d", round)
		errs := make([]error, 4)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = claim(name, i).Take(t.Context(), server.SuperURL) })
		}
		all.Wait()
		winner := slices.Index(errs, nil)
		if winner < 0 {
			t.Fatalf("nobody: %v", errors.Join(errs...))
		}
		for i, err := range errs {
			if i != winner && (err == nil || !strings.Contains(err.Error(), "belongs to the platform "+claim(name, winner).Platform)) {
				t.Errorf("%d beside %d: %v", i, winner, err)
			}
		}
		take(t, server, claim(name, winner))
		signsIn(t, server, claim(name, winner))
	}
}
