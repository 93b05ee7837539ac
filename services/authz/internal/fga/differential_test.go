package fga_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

// Sizes of the random worlds. Small worlds have many ways and circles between few objects.
const (
	worlds         = 12
	tuplesPerWorld = 90
	checksPerWorld = 250
)

// randomWorld is a set of relationships that the model admits, chosen by the seed.
func randomWorld(engine *fga.Engine, seed uint64) []relation.Tuple {
	random := rand.New(rand.NewPCG(seed, 1))
	chosen := map[relation.Tuple]bool{}
	for len(chosen) < tuplesPerWorld {
		kind := engine.Model().Types[random.IntN(len(engine.Model().Types))]
		if len(kind.Relations) == 0 {
			continue
		}
		t := relation.Tuple{
			Object:   randomObject(random, kind.Name),
			Relation: kind.Relations[random.IntN(len(kind.Relations))],
			Subject:  randomObject(random, []string{"user", "user", "service_account", "group", "group", "group", "platform", "organization"}[random.IntN(8)]),
		}
		if relation.Type(t.Subject) == "group" {
			t.Subject += "#member"
		}
		if engine.Validate(t) == nil {
			chosen[t] = true
		}
	}
	return slices.SortedFunc(maps.Keys(chosen), func(a, b relation.Tuple) int { return compare(a.String(), b.String()) })
}

func randomObject(random *rand.Rand, kind string) string {
	if kind == "platform" {
		return "platform:gatehouse"
	}
	return fmt.Sprintf("%s:%d", kind, random.IntN(7))
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// R65: in random worlds of nested and circular groups the weighted algorithm, the default one and the definition of the model agree.
func TestAlgorithmsAgree(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	byDefault := fga.OpenDefault(t, engine)
	var yes, no, tooDeep int
	for seed := range uint64(worlds) {
		world := randomWorld(engine, seed)
		if err := engine.Write(t.Context(), world, nil); err != nil {
			t.Fatal(err)
		}
		want := newReference(engine.ParsedModel(), world)
		random := rand.New(rand.NewPCG(seed, 2))
		for range checksPerWorld {
			kind := engine.Model().Types[random.IntN(len(engine.Model().Types))]
			if len(kind.Relations) == 0 {
				continue
			}
			q := fga.Question{Relation: kind.Relations[random.IntN(len(kind.Relations))], Object: randomObject(random, kind.Name)}
			subject := randomObject(random, []string{"user", "service_account"}[random.IntN(2)])
			answer := want.holds[relation.Tuple{Object: q.Object, Relation: q.Relation, Subject: subject}]
			got, err := engine.Check(t.Context(), subject, []fga.Question{q})
			if err != nil || got[0] != answer {
				t.Errorf("seed %d: %s %s %s: weighted says %v, %v; the definition %t", seed, subject, q.Relation, q.Object, got, err, answer)
			}
			old, err := byDefault.Check(t.Context(), subject, q)
			switch {
			case err != nil && errors.Is(fga.Translate(t.Context(), err), apierr.New(apierr.FailedPrecondition, "RELATIONSHIPS_TOO_DEEP", "")):
				tooDeep++
			case err != nil || old != answer:
				t.Errorf("seed %d: %s %s %s: the default algorithm says %v, %v; the definition %t", seed, subject, q.Relation, q.Object, old, err, answer)
			}
			if answer {
				yes++
			} else {
				no++
			}
		}
		listsAgree(t, engine, want, seed)
		if err := engine.Write(t.Context(), nil, world); err != nil {
			t.Fatal(err)
		}
	}
	if yes < 300 || no < 300 || tooDeep > yes/10 {
		t.Errorf("%d true, %d false, %d too deep for the default algorithm: the worlds do not tell much", yes, no, tooDeep)
	}
	t.Logf("%d true, %d false, %d too deep for the default algorithm", yes, no, tooDeep)
}

// listsAgree compares one list of objects and one of subjects for each permission with the definition.
func listsAgree(t *testing.T, engine *fga.Engine, want *reference, seed uint64) {
	t.Helper()
	for _, kind := range engine.Model().Types {
		for _, name := range kind.Relations {
			var objects, subjects []string
			for holds := range want.holds {
				if relation.Type(holds.Object) != kind.Name || holds.Relation != name {
					continue
				}
				if holds.Subject == "user:3" {
					objects = append(objects, holds.Object)
				}
				if holds.Object == kind.Name+":2" && relation.Type(holds.Subject) == "user" {
					subjects = append(subjects, holds.Subject)
				}
			}
			slices.Sort(objects)
			slices.Sort(subjects)
			if got, err := engine.ListObjects(t.Context(), "user:3", name, kind.Name); err != nil || !slices.Equal(got, objects) {
				t.Errorf("seed %d: objects of user:3 by %s: %v, %v; want %v", seed, name, got, err, objects)
			}
			if got, err := engine.ListSubjects(t.Context(), kind.Name+":2", name, "user"); err != nil || !slices.Equal(got, subjects) {
				t.Errorf("seed %d: subjects of %s:2 by %s: %v, %v; want %v", seed, kind.Name, name, got, err, subjects)
			}
		}
	}
}

// The reason why a set of subjects is refused: the weighted algorithm answers false where true is right.
func TestASetOfSubjectsIsAnsweredWronglyByTheWeightedAlgorithm(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	byDefault := fga.OpenDefault(t, engine)
	fgatest.Write(t, engine, "group:a#member@group:b#member", "group:b#member@group:c#member", "organization:o#admin@group:a#member")
	ask := func(check func(context.Context, string, fga.Question) (bool, error), q fga.Question) bool {
		got, err := check(t.Context(), "group:c#member", q)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	differs := 0
	for _, q := range []fga.Question{
		{Relation: "member", Object: "group:a"}, {Relation: "member", Object: "group:b"}, {Relation: "member", Object: "group:c"},
		{Relation: "admin", Object: "organization:o"}, {Relation: "can_read", Object: "organization:o"},
	} {
		if ask(engine.Weighted, q) != ask(byDefault.Check, q) {
			differs++
		}
		_, err := engine.Check(t.Context(), "group:c#member", []fga.Question{q})
		wantReason(t, err, apierr.InvalidArgument, "INVALID_RELATIONSHIP")
	}
	t.Logf("%d of 5 answers differ", differs)
}
