package postgres_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// failing is an engine whose next writes fail.
type failing struct {
	relationship.Engine
	err atomic.Pointer[error]
}

func (f *failing) Write(ctx context.Context, writes, deletes []relation.Tuple) error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return f.Engine.Write(ctx, writes, deletes)
}

func openFailing(t *testing.T) (*postgrestest.Instance, *failing) {
	t.Helper()
	f := &failing{}
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{Lease: postgrestest.Over, Engine: func(e *fga.Engine) relationship.Engine {
		f.Engine = e
		return f
	}})
	return i, f
}

// An engine that does not answer leaves the change accepted: not acknowledged, no audit row, and complete as soon as the engine is back.
func TestEngineThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	i, engine := openFailing(t)
	down := error(apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "down"))
	engine.err.Store(&down)
	c := relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, "organization:o#member@user:u")}
	if err := write(t, i, c); !errors.Is(err, down) {
		t.Fatalf("got %v, want the engine's error", err)
	}
	if _, err := i.CompleteAbandoned(t.Context()); !errors.Is(err, down) {
		t.Fatalf("got %v, want the engine's error", err)
	}
	if got := len(i.Events(t)); got != 0 {
		t.Errorf("%d audit rows of a change that did not happen", got)
	}
	engine.err.Store(nil)
	completed, err := i.CompleteAbandoned(t.Context())
	if err != nil || completed != 1 {
		t.Fatalf("completed %d, %v", completed, err)
	}
	wantTuples(t, i, []string{"organization:o#member@user:u"}, nil)
	if got := len(i.Events(t)); got != 1 {
		t.Errorf("%d audit rows, want 1", got)
	}
}

// A change that the engine will never take, because the model changed after it was accepted, does not hold its objects for ever.
func TestRefusedChangeFreesItsObjects(t *testing.T) {
	t.Parallel()
	i, engine := openFailing(t)
	refusal := error(apierr.New(apierr.InvalidArgument, "INVALID_RELATIONSHIP", "not in the model"))
	engine.err.Store(&refusal)
	c := relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, "organization:o#member@user:u")}
	if err := write(t, i, c); !errors.Is(err, refusal) {
		t.Fatalf("got %v, want the refusal", err)
	}
	wantNoLocks(t, i)
	engine.err.Store(nil)
	if err := write(t, i, c); !errors.Is(err, apierr.New(apierr.FailedPrecondition, "CHANGE_REFUSED", "")) {
		t.Errorf("repeated: got %v, want CHANGE_REFUSED", err)
	}
	if got := len(i.Events(t)); got != 0 {
		t.Errorf("%d audit rows of a change that did not happen", got)
	}
	c.ID = uuid.NewString()
	check.NoError(t, write(t, i, c))
}

// R68: without a draft there is no audit row, and so no change.
func TestNoDraftNoChange(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	c := relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, "organization:o#member@user:u")}
	if _, err := i.Write(t.Context(), "identity", c, nil); err == nil {
		t.Error("a change without a draft is accepted")
	}
	wantTuples(t, i, nil, []string{"organization:o#member@user:u"})
	wantNoLocks(t, i)
}

// R68: when the audit row cannot be appended the change is not acknowledged; it is completed when that works again.
func TestAuditRowThatCannotBeAppended(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{Lease: postgrestest.Over})
	_, err := i.Pool.Exec(t.Context(), "alter table authz.outbox add constraint no_more check (false) not valid")
	check.NoError(t, err)
	c := relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, "organization:o#member@user:u")}
	if err := write(t, i, c); err == nil {
		t.Fatal("a change without an audit row is acknowledged")
	}
	_, err = i.Pool.Exec(t.Context(), "alter table authz.outbox drop constraint no_more")
	check.NoError(t, err)
	check.NoError(t, write(t, i, c))
	if got := len(i.Events(t)); got != 1 {
		t.Errorf("%d audit rows, want 1", got)
	}
}

// What an audit row says: who asked for it, which relationships, and the object and organization when there is one.
func TestAuditRow(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	organization, user := uuid.NewString(), uuid.NewString()
	object := "organization:" + organization
	_, err := i.Write(postgrestest.Draft(t.Context(), "identity"), "identity", relationship.Change{
		ID: uuid.NewString(), Writes: postgrestest.Tuples(t, object+"#member@user:"+user, object+"#owner@user:"+user),
	}, &relationship.Origin{Actor: event.Actor{Type: event.User, ID: user}, RequestID: "r-1", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736"})
	check.NoError(t, err)
	e := i.Events(t)[0]
	if e.Actor.ID != user || e.RequestID != "r-1" || e.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || e.Caller != "identity" ||
		e.Source != "authz" || e.OrganizationID != organization || e.ObjectType != "organization" || e.ObjectID != organization {
		t.Errorf("got %+v", e)
	}
	if want := `["` + object + `#member@user:` + user + `","` + object + `#owner@user:` + user + `"]`; len(e.Changes) != 1 || string(e.Changes[0].Value) != want {
		t.Errorf("the changes are %+v, want %s", e.Changes, want)
	}
	incomplete := &relationship.Origin{Actor: event.Actor{Type: event.User}}
	_, err = i.Write(postgrestest.Draft(t.Context(), "identity"), "identity",
		relationship.Change{ID: uuid.NewString(), DeleteAllOf: "user:" + user}, incomplete)
	if !errors.Is(err, apierr.New(apierr.InvalidArgument, "INVALID_ARGUMENT", "")) {
		t.Errorf("an origin without its actor: %v", err)
	}
}

// A change happens in the organization that it touches, whichever that of the administrator is: there its auditors look for it, and in the
// administrator's own they must not find it.
func TestOrganizationOfAnAuditRow(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	home, o := uuid.NewString(), uuid.NewString()
	for text, want := range map[string]string{
		"organization:" + o + "#owner@user:u":                o,
		"user:u#organization@organization:" + o:              o,
		"platform:gatehouse#administrator@user:u":            "",
		"group:g#member@user:u":                              "",
		"organization:acme#member@group:g#member":            "",
		"organization:" + o + "#platform@platform:gatehouse": o,
	} {
		known := len(i.Events(t))
		ctx := event.NewContext(t.Context(), event.Event{
			Source: "authz", Caller: "gateway", Action: "authz.relationships_written", Outcome: event.Success,
			Actor: event.Actor{Type: event.User, ID: uuid.NewString()}, OrganizationID: home,
		})
		_, err := i.Write(ctx, "gateway", relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, text)}, nil)
		check.NoError(t, err)
		if got := i.Events(t)[known].OrganizationID; got != want {
			t.Errorf("%s is in organization %q, want %q", text, got, want)
		}
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	ids := []string{uuid.NewString(), uuid.NewString()}
	for _, id := range ids {
		check.NoError(t, write(t, i, relationship.Change{ID: id, Writes: postgrestest.Tuples(t, "organization:o#member@user:u")}))
	}
	_, err := i.Pool.Exec(t.Context(), "update authz.commands set end_time = end_time - interval '31 days' where id = $1", ids[0])
	check.NoError(t, err)
	check.NoError(t, i.Forget(t.Context()))
	states, err := i.Store.States(t.Context(), ids)
	if err != nil || len(states) != 1 || states[ids[1]] != relationship.Applied {
		t.Errorf("kept are %v, %v", states, err)
	}
}
