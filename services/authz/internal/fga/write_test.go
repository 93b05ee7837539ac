package fga_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

func parse(t *testing.T, text string) relation.Tuple {
	t.Helper()
	tuple, err := relation.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tuple
}

func TestAWriteMayBeRepeated(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	old, fresh := parse(t, "group:g#member@user:old"), parse(t, "group:g#member@user:new")
	for range 3 {
		if err := engine.Write(t.Context(), []relation.Tuple{old, old}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := engine.Write(t.Context(), []relation.Tuple{fresh}, []relation.Tuple{old, old}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := engine.TuplesOf(t.Context(), "group:g")
	if err != nil || !slices.Equal(all, []relation.Tuple{fresh}) {
		t.Errorf("%v, %v", all, err)
	}
	for tuple, want := range map[relation.Tuple]bool{old: false, fresh: true} {
		if got, err := engine.Exists(t.Context(), tuple); err != nil || got != want {
			t.Errorf("%s exists: %t, %v", tuple, got, err)
		}
	}
}

func TestAWriteIsAllOrNothing(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	good, bad := parse(t, "group:g#member@user:u"), parse(t, "group:g#member@organization:o")
	wantReason(t, engine.Write(t.Context(), []relation.Tuple{good, bad}, nil), apierr.InvalidArgument, "INVALID_RELATIONSHIP")
	wantReason(t, engine.Write(t.Context(), []relation.Tuple{good}, []relation.Tuple{good}), apierr.InvalidArgument, "INVALID_RELATIONSHIP")
	wantReason(t, engine.Write(t.Context(), make([]relation.Tuple, 101), nil), apierr.InvalidArgument, "INVALID_RELATIONSHIP")
	if all, err := engine.TuplesOf(t.Context(), "group:g"); err != nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
	var writes, deletes []relation.Tuple
	for i := range 100 {
		writes = append(writes, parse(t, fmt.Sprintf("group:g#member@user:%d", i)))
		deletes = append(deletes, parse(t, fmt.Sprintf("group:g#member@user:%d", i+100)))
	}
	if err := engine.Write(t.Context(), deletes, nil); err != nil {
		t.Fatal(err)
	}
	if err := engine.Write(t.Context(), writes, deletes); err != nil {
		t.Fatalf("100 added and 100 removed: %v", err)
	}
	if all, err := engine.TuplesOf(t.Context(), "group:g"); err != nil || len(all) != 100 {
		t.Errorf("%d, %v", len(all), err)
	}
}

// Writes of the same tuples at the same time all succeed: OpenFGA aborts all but one, and those are tried again.
func TestWritesOfTheSameTuplesAtTheSameTime(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	tuples := []relation.Tuple{parse(t, "group:g#member@user:a"), parse(t, "group:g#member@user:b")}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for round := range 5 {
				writes, deletes := tuples, []relation.Tuple(nil)
				if (i+round)%2 == 0 {
					writes, deletes = nil, tuples
				}
				if err := engine.Write(t.Context(), writes, deletes); err != nil {
					t.Errorf("writer %d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
}

// What was given up does not land: a write that waits for a lock ends with its caller or by its statement's time limit.
func TestAnAbandonedWriteDoesNotLand(t *testing.T) {
	t.Parallel()
	c := fgatest.Config(t)
	engine := fgatest.Open(t, c)
	tuple := parse(t, "group:g#member@user:u")
	other := pgtest.Open(t, c) // whose transactions may be idle
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), "lock table authz_fga.tuple in exclusive mode"); err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := engine.Write(brief, []relation.Tuple{tuple}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller's time is over: %v", err)
	}
	// By itself, while the lock is held: its statement has a limit.
	wantReason(t, engine.Write(t.Context(), []relation.Tuple{tuple}, nil), apierr.Unavailable, "RELATIONSHIPS_BUSY")
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exists, err := engine.Exists(t.Context(), tuple); err != nil || exists {
		t.Errorf("the abandoned write landed: %t, %v", exists, err)
	}
}

// R63: 100 rounds of a revoke and a check after it, with the position of the write: never a stale allow, on another engine either.
func TestAnAnswerAfterARevokeIsNeverStale(t *testing.T) {
	t.Parallel()
	c := fgatest.Config(t)
	writer, reader := fgatest.Open(t, c), fgatest.Open(t, c)
	fgatest.Write(t, writer, "group:outer#member@group:inner#member", "organization:o#admin@group:outer#member", "organization:o#platform@platform:gatehouse")
	granted := []relation.Tuple{parse(t, "group:inner#member@user:enemy")}
	asked := []fga.Question{{Relation: "can_update", Object: "organization:o"}, {Relation: "member", Object: "group:outer"}}
	for round := range 100 {
		for _, want := range []bool{true, false} {
			writes, deletes := granted, []relation.Tuple(nil)
			if !want {
				writes, deletes = nil, granted
			}
			if err := writer.Write(t.Context(), writes, deletes); err != nil {
				t.Fatal(err)
			}
			token, err := writer.Position(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for name, engine := range map[string]*fga.Engine{"writer": writer, "reader": reader} {
				if err := engine.Reached(t.Context(), token); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
				got, err := engine.Check(t.Context(), "user:enemy", asked)
				if err != nil || got[0] != want || got[1] != want {
					t.Fatalf("round %d, %s: %v, %v; want %t", round, name, got, err, want)
				}
			}
		}
	}
}

// Validate says what OpenFGA would say, before anything is stored.
func TestValidateAgreesWithTheEngine(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	random := rand.New(rand.NewPCG(7, 7))
	kinds := []string{"user", "service_account", "group", "platform", "organization", "robot"}
	relations := []string{"member", "admin", "owner", "platform", "organization", "administrator", "can_read", "fly"}
	var good, bad int
	tried := randomWorld(engine, 3)
	for range 300 {
		t0 := relation.Tuple{
			Object:   kinds[random.IntN(len(kinds))] + ":a",
			Relation: relations[random.IntN(len(relations))],
			Subject:  kinds[random.IntN(len(kinds))] + []string{":a", ":b"}[random.IntN(2)],
		}
		if random.IntN(3) == 0 {
			t0.Subject += "#" + relations[random.IntN(len(relations))]
		}
		tried = append(tried, t0)
	}
	for _, t0 := range tried {
		said, did := engine.Validate(t0), engine.WriteUnchecked(t.Context(), t0)
		if (said == nil) != (did == nil) {
			t.Errorf("%s: Validate says %v, OpenFGA %v", t0, said, did)
		}
		if said == nil {
			good++
		} else {
			bad++
		}
	}
	if good < 60 || bad < 100 {
		t.Errorf("%d good, %d bad: too few to tell", good, bad)
	}
}
