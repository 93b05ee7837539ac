package database_test

import (
	"context"
	"testing"

	"github.com/gatehouse/gatehouse/internal/database"
)

// R86: a role can take no lock that another one could meet, can make no large object, and has only
// its own connections to use up.
func TestARoleReachesNoOther(t *testing.T) {
	t.Parallel()
	server := services(t)
	super := server.SuperURL(platformDB)
	for range 2 { // both are idempotent
		if err := database.CloseFunctions(t.Context(), super); err != nil {
			t.Fatal(err)
		}
		if err := database.Make(t.Context(), super, database.Program{Schemas: []string{"auth"}, Owner: database.Role{Name: "auth", Connections: 3}}); err != nil {
			t.Fatal(err)
		}
	}
	auth, err := connect(t, server, "auth", platformDB)
	if err != nil {
		t.Fatal(err)
	}
	for _, refused := range []string{
		"select pg_advisory_lock(1)", "select pg_advisory_lock_shared(1, 2)", "select pg_try_advisory_lock(1)", "select pg_try_advisory_xact_lock_shared(1)",
		"select pg_advisory_xact_lock(n) from generate_series(1, 100000) n", "select pg_advisory_unlock_all()",
		"select lo_creat(-1)", "select lo_create(0)", "select lo_from_bytea(0, 'x')", "select lo_open(1, 131072)", "select loread(0, 1)",
		"select lowrite(0, 'x')", "select lo_unlink(1)",
	} {
		if _, err := auth.Exec(t.Context(), refused); state(err) != "42501" {
			t.Errorf("auth may %s: %v", refused, err)
		}
	}
	var open int
	if err := auth.QueryRow(t.Context(), `select count(*) from pg_proc where proname ~ 'advisory|^lo_|^lo(read|write)$'
		and has_function_privilege(oid, 'execute')`).Scan(&open); err != nil || open != 0 {
		t.Errorf("%d functions are open, %v", open, err)
	}
	for range 2 {
		if _, err := connect(t, server, "auth", platformDB); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := connect(t, server, "auth", platformDB); state(err) != "53300" {
		t.Errorf("a fourth connection: %v", err)
	}
	identity, err := connect(t, server, "identity", platformDB)
	if err != nil {
		t.Fatalf("another role: %v", err)
	}
	_ = identity.Close(context.WithoutCancel(t.Context()))
}
