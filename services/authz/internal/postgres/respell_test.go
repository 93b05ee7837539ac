package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// Relationships that were written before ids had one form are found, and mended as changes like any other (issue 8, line 11).
func TestMisspeltIDsAreMended(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	id, other := uuid.NewString(), uuid.NewString()
	loud, loudOther := strings.ToUpper(id), strings.ToUpper(other)
	right := "organization:" + id + "#auditor@user:" + other
	fgatest.Write(t, i.Engine,
		"organization:"+loud+"#auditor@user:"+loudOther,
		"organization:"+loud+"#auditor@user:"+other, // the same relationship a second time
		"group:"+loud+"#member@user:"+other,
		"platform:gatehouse#auditor@group:"+loud+"#member",
		"group:Staff#member@user:"+other, // a name, not an id
	)
	misspelt, err := i.Engine.Misspelt(t.Context())
	if err != nil || len(misspelt) != 4 {
		t.Fatalf("found %v, %v; want 4", misspelt, err)
	}
	if n, err := i.Respell(t.Context(), "authz", misspelt); n != 4 || err != nil {
		t.Fatalf("mended %d, %v; want 4", n, err)
	}
	for _, text := range []string{right, "group:" + id + "#member@user:" + other, "platform:gatehouse#auditor@group:" + id + "#member", "group:Staff#member@user:" + other} {
		if !i.Has(t, text) {
			t.Errorf("%s is missing", text)
		}
	}
	if left, err := i.Engine.Misspelt(t.Context()); len(left) != 0 || err != nil {
		t.Errorf("left are %v, %v", left, err)
	}
	events := i.Events(t)
	if len(events) != 1 || events[0].Actor.ID != "authz" || len(events[0].Changes) != 2 || !slices.Contains([]string{"writes", "deletes"}, events[0].Changes[0].Field) {
		t.Errorf("events %+v", events)
	}
}

// A change means the same whatever the case of its UUIDs is, so it locks, looks for and writes the same relationships.
func TestIDsOfAChangeHaveOneForm(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	id := uuid.NewString()
	quiet, loud := "organization:"+id+"#member@user:"+id, "organization:"+strings.ToUpper(id)+"#member@user:"+strings.ToUpper(id)
	noError(t, write(t, i, relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, loud)}))
	if !i.Has(t, quiet) || i.Has(t, loud) {
		t.Errorf("written: %t as stored, %t as spelled", i.Has(t, quiet), i.Has(t, loud))
	}
	noError(t, write(t, i, relationship.Change{ID: uuid.NewString(), Deletes: postgrestest.Tuples(t, loud)}))
	if i.Has(t, quiet) {
		t.Error("not deleted")
	}
}
