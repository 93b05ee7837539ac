package relationship

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// anything is an engine whose model admits every relationship.
type anything struct{ Engine }

func (anything) Validate(relation.Tuple) error { return nil }

func tuple(t *testing.T, text string) relation.Tuple {
	t.Helper()
	parsed, err := relation.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestNormalise(t *testing.T) {
	t.Parallel()
	a, b := tuple(t, "organization:o#member@user:a"), tuple(t, "organization:o#member@user:b")
	got, err := normalise(anything{}, Change{Writes: []relation.Tuple{b, a, b}})
	if err != nil || !slices.Equal(got.Writes, []relation.Tuple{a, b}) {
		t.Errorf("got %v, %v", got, err)
	}
	many := make([]relation.Tuple, MaxTuples)
	for n := range many {
		many[n] = tuple(t, fmt.Sprintf("organization:o#member@user:x%d", n))
	}
	if _, err := normalise(anything{}, Change{Writes: many}); err != nil {
		t.Errorf("%d relationships: %v", len(many), err)
	}
	for name, c := range map[string]Change{
		"empty":               {},
		"only a precondition": {Preconditions: []Precondition{{Tuple: a}}},
		"too many together":   {Writes: many, Deletes: []relation.Tuple{a}},
		"both":                {Writes: []relation.Tuple{a}, Deletes: []relation.Tuple{b, a}},
		"no form":             {Deletes: []relation.Tuple{{Object: "o"}}},
		"all of no object":    {DeleteAllOf: "user:a\x00b"}, // R92
		"precondition":        {Writes: []relation.Tuple{a}, Preconditions: []Precondition{{Tuple: relation.Tuple{Object: "o"}}}},
	} {
		var known *apierr.Error
		if _, err := normalise(anything{}, c); !errors.As(err, &known) || known.Kind != apierr.InvalidArgument {
			t.Errorf("%s: got %v, want InvalidArgument", name, err)
		}
	}
}

func TestObjectsAreSortedAndComplete(t *testing.T) {
	t.Parallel()
	c := Change{
		Writes: []relation.Tuple{tuple(t, "user:u#organization@organization:z")}, Deletes: []relation.Tuple{tuple(t, "organization:o#member@user:u")},
		DeleteAllOf: "group:g", Preconditions: []Precondition{{Tuple: tuple(t, "organization:p#member@user:u")}, {Tuple: tuple(t, "user:u#organization@organization:y")}},
	}
	want := []string{"group:g", "organization:o", "organization:p", "platform:x", "user:u"}
	got := objects(c, []relation.Tuple{tuple(t, "platform:x#auditor@group:g#member")})
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !contains(got, []string{"user:u", "group:g"}) || contains(got, []string{"user:v"}) {
		t.Error("contains is wrong")
	}
}

func TestAuthority(t *testing.T) {
	t.Parallel()
	definition := meshtest.Definition(t)
	a := NewAuthority(definition)
	for _, c := range []struct {
		program, text string
		want          bool
	}{
		{"identity", "organization:o#owner@user:u", true},
		{"identity", "organization:o#member@user:u", true},
		{"identity", "organization:o#platform@platform:gatehouse", true},
		{"identity", "organization:o#admin@user:u", false},
		{"identity", "organization:o#auditor@user:u", false},
		{"identity", "user:u#organization@organization:o", true},
		{"identity", "group:g#member@user:u", false},
		{"identity", "platform:gatehouse#administrator@user:u", false},
		{"auth", "platform:gatehouse#administrator@user:u", true},
		{"auth", "platform:gatehouse#administrator@group:g#member", false},
		{"auth", "platform:gatehouse#administrator@service_account:s", false},
		{"auth", "platform:gatehouse#auditor@user:u", false},
		{"auth", "user:u#organization@organization:o", false},
		{"gateway", "organization:o#member@user:u", false},
		{"", "organization:o#member@user:u", false},
	} {
		for name, change := range map[string]Change{
			"write": {Writes: []relation.Tuple{tuple(t, c.text)}}, "delete": {Deletes: []relation.Tuple{tuple(t, c.text)}},
		} {
			err := a.Check(c.program, change)
			if (err == nil) != c.want || err != nil && !errors.Is(err, apierr.New(apierr.PermissionDenied, "RELATIONSHIP_NOT_OWNED", "")) {
				t.Errorf("%s, %s of %s: got %v, want allowed %t", c.program, name, c.text, err, c.want)
			}
		}
	}
	for object, want := range map[string]bool{"user:u": true, "organization:o": true, "platform:gatehouse": false, "group:g": false} {
		if err := a.Check("identity", Change{DeleteAllOf: object}); (err == nil) != want {
			t.Errorf("identity, all of %s: got %v, want allowed %t", object, err, want)
		}
		if err := a.Check("auth", Change{DeleteAllOf: object}); err == nil {
			t.Errorf("auth may delete all of %s", object)
		}
	}
}

// One id comes again with the same change, and only with that: from the same program, in the same
// words.
func TestFingerprintsTellChangesApart(t *testing.T) {
	t.Parallel()
	c := Change{ID: "1", Writes: []relation.Tuple{tuple(t, "organization:o#member@user:u")}}
	fingerprintOf := func(program string, c Change) string {
		sum, err := fingerprint(program, c)
		if err != nil {
			t.Fatal(err)
		}
		return string(sum)
	}
	again := c
	again.ID = "2"
	if fingerprintOf("identity", c) != fingerprintOf("identity", again) {
		t.Error("the id is part of it")
	}
	for name, other := range map[string]string{
		"of another program": fingerprintOf("auth", c), "that deletes": fingerprintOf("identity", Change{Deletes: c.Writes}),
		"with a condition": fingerprintOf("identity", Change{Writes: c.Writes, Preconditions: []Precondition{{Tuple: c.Writes[0]}}}),
		"of all":           fingerprintOf("identity", Change{Writes: c.Writes, DeleteAllOf: "user:u"}),
	} {
		if other == fingerprintOf("identity", c) {
			t.Errorf("a change %s is taken for the same", name)
		}
	}
}
