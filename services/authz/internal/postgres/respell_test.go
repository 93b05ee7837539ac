package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// Relationships that were written before ids had one form are found, and fixed as changes like any
// other (issue 8, line 11).
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
	misspelt := findMisspelt(t, i)
	if len(misspelt) != 4 {
		t.Fatalf("found %v; want 4", misspelt)
	}
	if n, err := i.Respell(t.Context(), "authz", misspelt); n != 4 || err != nil {
		t.Fatalf("fixed %d, %v; want 4", n, err)
	}
	for _, text := range []string{right, "group:" + id + "#member@user:" + other, "platform:gatehouse#auditor@group:" + id + "#member", "group:Staff#member@user:" + other} {
		if !i.Has(t, text) {
			t.Errorf("%s is missing", text)
		}
	}
	if left := findMisspelt(t, i); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
	var fields []string
	for _, e := range i.Events(t) {
		if e.Actor.ID != "authz" || len(e.Changes) != 1 {
			t.Fatalf("event %+v", e)
		}
		fields = append(fields, e.Changes[0].Field)
	}
	if !slices.Equal(fields, []string{"writes", "deletes"}) {
		t.Errorf("events of %v", fields)
	}
}

func findMisspelt(t *testing.T, i *postgrestest.Instance) []relation.Tuple {
	t.Helper()
	conn, err := i.Pool.Acquire(t.Context())
	check.NoError(t, err)
	defer conn.Release()
	misspelt, err := i.Engine.Misspelt(t.Context(), conn.Conn())
	check.NoError(t, err)
	return misspelt
}

// More than one change holds: what leads to others goes only when all of them are there, so nobody
// is without the right in between and the last administrator is not refused (R89).
func TestManyMisspeltIDsAreMended(t *testing.T) {
	t.Parallel()
	var i *postgrestest.Instance
	user := "user:" + uuid.NewString()
	i = postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{Step: func(s postgrestest.Step) {
		if s == postgrestest.Applied {
			may, err := i.Engine.Check(t.Context(), user, []fga.Question{{Relation: "administrator", Object: "platform:gatehouse"}})
			if err != nil || !may[0] {
				t.Errorf("between two changes the administrator may: %t, %v", may, err)
			}
		}
	}})
	group := "group:" + strings.ToUpper(uuid.NewString())
	there := []string{user + "#organization@organization:home", "group:z#member@" + group + "#member", "platform:gatehouse#administrator@" + group + "#member"}
	for range relationship.MaxTuples + 20 {
		there = append(there, group+"#member@user:"+uuid.NewString())
	}
	there = append(there, group+"#member@"+user)
	fgatest.Write(t, i.Engine, there...)
	misspelt := findMisspelt(t, i)
	if n, err := i.Respell(t.Context(), "authz", misspelt); n != len(there)-1 || err != nil {
		t.Fatalf("fixed %d of %d: %v", n, len(misspelt), err)
	}
	if left := findMisspelt(t, i); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// What is looked for is read page by page: each once, also where two pages meet.
func TestMisspeltIDsAmongMany(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	fgatest.Write(t, i.Engine, "group:n#member@user:"+strings.ToUpper(uuid.NewString()), "group:n#member@user:"+uuid.NewString())
	const copies = 4500
	_, err := i.Pool.Exec(t.Context(), `
		insert into authz_fga.tuple (store, object_type, object_id, relation, _user, user_type, ulid, inserted_at)
		select store, object_type, object_id || n, relation, _user, user_type, ulid || n || _user, inserted_at
		from authz_fga.tuple, generate_series(1, $1) n`, copies)
	check.NoError(t, err)
	found := map[string]int{}
	for _, tuple := range findMisspelt(t, i) {
		found[tuple.Object]++
		if found[tuple.Object] > 1 || tuple == tuple.Canonical() {
			t.Errorf("found %v, %d times", tuple, found[tuple.Object])
		}
	}
	if len(found) != copies+1 {
		t.Errorf("found %d, want %d", len(found), copies+1)
	}
}

// A change means the same whatever the case of its UUIDs is, so it locks, looks for and writes the
// same relationships.
func TestIDsOfAChangeHaveOneForm(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	id := uuid.NewString()
	quiet, loud := "organization:"+id+"#member@user:"+id, "organization:"+strings.ToUpper(id)+"#member@user:"+strings.ToUpper(id)
	check.NoError(t, write(t, i, relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, loud)}))
	if !i.Has(t, quiet) || i.Has(t, loud) {
		t.Errorf("written: %t as stored, %t as spelled", i.Has(t, quiet), i.Has(t, loud))
	}
	check.NoError(t, write(t, i, relationship.Change{ID: uuid.NewString(), Deletes: postgrestest.Tuples(t, loud)}))
	if i.Has(t, quiet) {
		t.Error("not deleted")
	}
}
