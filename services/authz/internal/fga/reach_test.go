package fga_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

// In random worlds, taking one relationship away changes no answer outside of its reach: whoever
// asks again only within it misses nothing.
func TestNothingChangesOutsideOfReach(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	var within, narrow int
	for seed := range uint64(worlds) {
		world := randomWorld(engine, seed)
		before := newReference(engine.ParsedModel(), world).holds
		random := rand.New(rand.NewPCG(seed, 3))
		for range 10 {
			gone := random.IntN(len(world))
			taken := world[gone]
			reach, known := engine.ReachOf(taken)
			if !known {
				t.Fatalf("%s is not known", taken)
			}
			after := newReference(engine.ParsedModel(), slices.Delete(slices.Clone(world), gone, gone+1)).holds
			for answer := range before {
				switch {
				case after[answer]:
				case !reaches(reach, taken.Object, answer):
					t.Errorf("seed %d: without %s, %s does not hold; its reach is %+v", seed, taken, answer, reach)
				default:
					within++
				}
			}
			if reach.Subject != "" {
				narrow++
			}
		}
	}
	if within < 100 || narrow < 20 {
		t.Errorf("%d answers changed, %d relationships concern one subject: the worlds do not tell much", within, narrow)
	}
}

func reaches(r fga.Reach, object string, answer relation.Tuple) bool {
	return (r.Subject == "" || r.Subject == answer.Subject) &&
		(object == answer.Object || slices.Contains(r.From, relation.Type(answer.Object)))
}

// A new organization concerns nobody who asks about the platform, and a new member only itself.
func TestReach(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	for text, want := range map[string]fga.Reach{
		"organization:o#platform@platform:gatehouse":         {From: []string{"user"}},
		"organization:o#owner@user:u":                        {Subject: "user:u", From: []string{"user"}},
		"organization:o#owner@group:g#member":                {From: []string{"user"}},
		"user:u#organization@organization:o":                 {},
		"group:g#member@user:u":                              {Subject: "user:u", From: []string{"group", "organization", "platform", "user"}},
		"group:g#member@group:h#member":                      {From: []string{"group", "organization", "platform", "user"}},
		"platform:gatehouse#administrator@service_account:s": {Subject: "service_account:s", From: []string{"organization", "user"}},
	} {
		tuple, err := relation.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, known := engine.ReachOf(tuple); !known || got.Subject != want.Subject || !slices.Equal(got.From, want.From) {
			t.Errorf("%s reaches %+v, %t, want %+v", text, got, known, want)
		}
	}
	if _, known := engine.ReachOf(relation.Tuple{Object: "invoice:1", Relation: "payer", Subject: "user:u"}); known {
		t.Error("a type of a newer model is known")
	}
}
