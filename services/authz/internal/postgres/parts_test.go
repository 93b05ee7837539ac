package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// manyMembers writes an organization whose deletion takes three transactions of the engine.
func manyMembers(t *testing.T, i *postgrestest.Instance) (object string) {
	t.Helper()
	object = "organization:" + uuid.NewString()
	var texts []string
	for n := range 2*relationship.MaxTuples + 50 {
		texts = append(texts, fmt.Sprintf("%s#member@user:%d", object, n))
	}
	for part := range slices.Chunk(texts, relationship.MaxTuples) {
		check.NoError(t, write(t, i, relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, part...)}))
	}
	return object
}

// timed notes until when each write may take.
type timed struct {
	relationship.Engine
	until []time.Time
}

func (e *timed) Write(ctx context.Context, writes, deletes []relation.Tuple) error {
	until, _ := ctx.Deadline()
	e.until = append(e.until, until)
	return e.Engine.Write(ctx, writes, deletes)
}

// A deletion of all gets its time and its lease anew with each part: however much it meets, it comes to its end.
func TestEachPartHasItsTime(t *testing.T) {
	t.Parallel()
	engine := &timed{}
	var i *postgrestest.Instance
	var id string
	var leases []time.Time
	i = postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{
		Step: func(s postgrestest.Step) {
			if s == postgrestest.Part {
				var until time.Time
				if err := i.Pool.QueryRow(t.Context(), "select claim_until from authz.commands where id = $1", id).Scan(&until); err != nil {
					t.Error(err)
				}
				leases = append(leases, until)
			}
		},
		Engine: func(e *fga.Engine) relationship.Engine {
			engine.Engine = e
			return engine
		},
	})
	object := manyMembers(t, i)
	engine.until, id = nil, uuid.NewString()
	check.NoError(t, write(t, i, relationship.Change{ID: id, DeleteAllOf: object}))
	for name, times := range map[string][]time.Time{"leases": leases, "times of writes": engine.until} {
		if len(times) < 2 {
			t.Errorf("%d %s", len(times), name)
		}
		for n := 1; n < len(times); n++ {
			if !times[n].After(times[n-1]) {
				t.Errorf("the %s are %v: each must be later than the one before", name, times)
			}
		}
	}
	wantNoLocks(t, i)
}

// Who loses its lease between two parts leaves the rest to whoever has it, and answers when that is done.
func TestTakenOverBetweenTwoParts(t *testing.T) {
	t.Parallel()
	database := postgrestest.Database(t)
	other := postgrestest.Open(t, database, postgrestest.Options{})
	object := manyMembers(t, other)
	known, parts, id := len(other.Events(t)), 0, uuid.NewString()
	slow := postgrestest.Open(t, database, postgrestest.Options{Step: func(s postgrestest.Step) {
		if s != postgrestest.Part {
			return
		}
		parts++
		if _, err := other.Pool.Exec(context.Background(), "update authz.commands set claim_until = now() where id = $1", id); err != nil {
			t.Error(err)
		}
		if n, err := other.CompleteAbandoned(context.Background()); n != 1 || err != nil {
			t.Errorf("completed %d, %v", n, err)
		}
	}})
	check.NoError(t, write(t, slow, relationship.Change{ID: id, DeleteAllOf: object}))
	if parts != 1 {
		t.Errorf("it went on for %d parts", parts)
	}
	if got := len(other.Events(t)) - known; got != 1 {
		t.Errorf("%d audit rows, want 1", got)
	}
	wantNoLocks(t, other)
}

// forgetful is an engine whose model no longer knows owners.
type forgetful struct{ relationship.Engine }

func (e forgetful) Validate(t relation.Tuple) error {
	if t.Relation == "owner" {
		return apierr.New(apierr.InvalidArgument, "INVALID_RELATIONSHIP", "not in the model")
	}
	return e.Engine.Validate(t)
}

// A change that the model no longer admits is refused whole: nothing of it happens without an audit row.
func TestRefusedBeforeItsFirstPart(t *testing.T) {
	t.Parallel()
	database := postgrestest.Database(t)
	first := postgrestest.Open(t, database, postgrestest.Options{Lease: postgrestest.Over, Step: func(s postgrestest.Step) {
		if s == postgrestest.Accepted {
			panic("the process dies here")
		}
	}})
	next := postgrestest.Open(t, database, postgrestest.Options{Engine: func(e *fga.Engine) relationship.Engine { return forgetful{e} }})
	object := manyMembers(t, next)
	known := len(next.Events(t))
	func() {
		defer func() { _ = recover() }()
		_ = write(t, first, relationship.Change{
			ID: uuid.NewString(), DeleteAllOf: object, Writes: postgrestest.Tuples(t, object+"#owner@user:0"),
		})
	}()
	_, err := next.CompleteAbandoned(t.Context())
	if !errors.Is(err, apierr.New(apierr.InvalidArgument, "INVALID_RELATIONSHIP", "")) {
		t.Errorf("got %v, want the refusal", err)
	}
	left, err := next.Engine.TuplesOf(t.Context(), object)
	if err != nil || len(left) != 2*relationship.MaxTuples+50 || len(next.Events(t)) != known {
		t.Errorf("%d relationships are left, %d audit rows, %v", len(left), len(next.Events(t))-known, err)
	}
	wantNoLocks(t, next)
}
