package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// instances are two instances of the service over one database.
func instances(t *testing.T, o postgrestest.Options) []*postgrestest.Instance {
	t.Helper()
	database := postgrestest.Database(t)
	return []*postgrestest.Instance{postgrestest.Open(t, database, o), postgrestest.Open(t, database, o)}
}

func write(t *testing.T, i *postgrestest.Instance, c relationship.Change) error {
	t.Helper()
	_, err := i.Write(postgrestest.Draft(t.Context(), "identity"), "identity", c, nil)
	return err
}

// insist repeats a change under its id for as long as it is unknown whether it happens, as callers
// do: how busy the machine is decides nothing.
func insist(t *testing.T, i *postgrestest.Instance, c relationship.Change) error {
	t.Helper()
	for {
		err := write(t, i, c)
		var unknown *apierr.Error
		if !errors.As(err, &unknown) || unknown.Kind != apierr.Unavailable || t.Context().Err() != nil {
			return err
		}
	}
}

// Several who want to be the first, at two instances: exactly one is, and only its change has an audit row.
func TestOnlyOnePreconditionHolds(t *testing.T) {
	t.Parallel()
	const rounds, rivals = 10, 6
	both := instances(t, postgrestest.Options{})
	for range rounds {
		object := "organization:" + uuid.NewString()
		known := len(both[0].Events(t))
		var won atomic.Int32
		var wg sync.WaitGroup
		for n := range rivals {
			wg.Go(func() {
				err := insist(t, both[n%2], relationship.Change{
					ID:     uuid.NewString(),
					Writes: postgrestest.Tuples(t, object+"#owner@user:first", fmt.Sprintf("%s#member@user:%d", object, n)),
					Preconditions: []relationship.Precondition{
						{Tuple: postgrestest.Tuple(t, object+"#owner@user:first"), Exists: false},
					},
				})
				switch {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, apierr.New(apierr.FailedPrecondition, "PRECONDITION_FAILED", "")):
					t.Errorf("a rival got %v", err)
				}
			})
		}
		wg.Wait()
		members := 0
		for n := range rivals {
			members += count(both[0].Has(t, fmt.Sprintf("%s#member@user:%d", object, n)))
		}
		if won.Load() != 1 || members != 1 || len(both[0].Events(t)) != known+1 {
			t.Fatalf("%d won, %d were written, %d audit rows: want one of each", won.Load(), members, len(both[0].Events(t))-known)
		}
	}
	wantNoLocks(t, both[0])
}

// G2: two instances change the same relationships at the same time. Whatever the order was, the audit rows tell it: played back, they
// lead to the relationships that are there.
func TestAuditRowsTellTheOrder(t *testing.T) {
	t.Parallel()
	const workers, each = 6, 15
	both := instances(t, postgrestest.Options{})
	object := "organization:" + uuid.NewString()
	texts := []string{object + "#member@user:a", object + "#member@user:b"}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := range each {
				tuples := postgrestest.Tuples(t, texts[n%2])
				c := relationship.Change{ID: uuid.NewString(), Writes: tuples}
				if (w+n/2)%2 == 0 {
					c.Writes, c.Deletes = nil, tuples
				}
				if err := write(t, both[w%2], c); err != nil {
					t.Errorf("write: %v", err)
				}
			}
		})
	}
	wg.Wait()
	events := both[0].Events(t)
	if len(events) != workers*each {
		t.Errorf("%d audit rows of %d changes", len(events), workers*each)
	}
	there := map[string]bool{}
	for _, e := range events {
		play(t, e, there)
	}
	for _, text := range texts {
		if got := both[1].Has(t, text); got != there[text] {
			t.Errorf("%s is there: %t, the audit rows say %t", text, got, there[text])
		}
	}
	wantNoLocks(t, both[0])
}

// play applies the changes that an event tells of.
func play(t *testing.T, e event.Event, there map[string]bool) {
	t.Helper()
	for _, c := range e.Changes {
		var texts []string
		check.NoError(t, json.Unmarshal(c.Value, &texts))
		for _, text := range texts {
			there[text] = c.Field == "writes"
		}
	}
}

// One change that is sent several times at once, as a relay does that was taken over, happens once.
func TestSameIDAtOnce(t *testing.T) {
	t.Parallel()
	both := instances(t, postgrestest.Options{})
	c := relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, "organization:o#member@user:u")}
	var wg sync.WaitGroup
	for n := range 6 {
		wg.Go(func() {
			if err := write(t, both[n%2], c); err != nil {
				t.Errorf("send %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	if got := len(both[0].Events(t)); got != 1 {
		t.Errorf("%d audit rows, want 1", got)
	}
	other := c
	other.Writes = postgrestest.Tuples(t, "organization:o#member@user:v")
	if err := write(t, both[0], other); !errors.Is(err, apierr.New(apierr.AlreadyExists, "CHANGE_ID_TAKEN", "")) {
		t.Errorf("another change under the same id: %v", err)
	}
	wantTuples(t, both[0], []string{"organization:o#member@user:u"}, []string{"organization:o#member@user:v"})
	wantNoLocks(t, both[0])
}

// The fence: an instance is stopped before its write, another one takes over, and a later change takes the relationship away. When the
// first one goes on, its write must not bring the relationship back, and it answers as if it had done it.
func TestStoppedInstanceWritesNothingLate(t *testing.T) {
	t.Parallel()
	database := postgrestest.Database(t)
	at, resume := make(chan struct{}), make(chan struct{})
	stopped := postgrestest.Open(t, database, postgrestest.Options{Lease: postgrestest.Over, Step: func(s postgrestest.Step) {
		if s == postgrestest.Accepted {
			close(at)
			<-resume
		}
	}})
	other := postgrestest.Open(t, database, postgrestest.Options{})
	tuple := postgrestest.Tuples(t, "organization:o#owner@user:u")
	answered := make(chan error, 1)
	go func() {
		_, err := stopped.Write(postgrestest.Draft(context.Background(), "identity"), "identity", relationship.Change{ID: uuid.NewString(), Writes: tuple}, nil)
		answered <- err
	}()
	<-at
	check.NoError(t, write(t, other, relationship.Change{ID: uuid.NewString(), Deletes: tuple})) // helps first
	if events := other.Events(t); len(events) != 2 || events[0].Changes[0].Field != "writes" {
		t.Fatalf("the audit rows are %+v, want the write and then the deletion", events)
	}
	close(resume)
	check.NoError(t, <-answered)
	wantTuples(t, other, nil, []string{tuple[0].String()})
	if got := len(other.Events(t)); got != 2 {
		t.Errorf("%d audit rows, want 2", got)
	}
}

// The other half of the fence: a process is stopped inside the engine's transaction, after it was
// asked whether its command is still open. Nobody ends the command before that process has lost its
// session, and with it what it wrote.
func TestStoppedWriterLosesItsSession(t *testing.T) {
	t.Parallel()
	i, id := withAccepted(t)
	writer, err := i.FencedConn(t, id)
	check.NoError(t, err)
	_, err = writer.Exec(t.Context(), "begin")
	check.NoError(t, err)
	began := time.Now()
	_, err = writer.Exec(t.Context(), lateWrite)
	check.NoError(t, err)
	check.Eventually(t, "the command is completed", func() bool {
		completed, err := i.CompleteAbandoned(t.Context())
		check.NoError(t, err)
		return completed == 1
	})
	if waited := time.Since(began); waited < time.Second {
		t.Errorf("the command ended after %s, while a writer was between the question and its commit", waited)
	}
	if _, err := writer.Exec(t.Context(), "commit"); err == nil {
		t.Error("the stopped writer still has its session")
	}
	wantTuples(t, i, nil, []string{"organization:o#owner@user:late"})
	late, err := i.FencedConn(t, id)
	check.NoError(t, err)
	if _, err := late.Exec(t.Context(), lateWrite); err == nil || !strings.Contains(err.Error(), "the command has ended") {
		t.Errorf("a writer after the command ended: %v", err)
	}
}

// R86: nobody's advisory lock, not the one that the fence once took either, holds up a write or the
// end of a command.
func TestNobodyElsesLockHoldsACommandUp(t *testing.T) {
	t.Parallel()
	i, id := withAccepted(t)
	stranger, err := i.Pool.Acquire(t.Context())
	check.NoError(t, err)
	conn := stranger.Hijack()
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), "select pg_advisory_lock(hashtextextended('authz command ' || $1::text, 0))", id)
	check.NoError(t, err)
	check.Eventually(t, "the command is completed", func() bool {
		completed, err := i.CompleteAbandoned(t.Context())
		check.NoError(t, err)
		return completed == 1
	})
}

// withAccepted is an instance whose database has a command that was accepted and abandoned.
func withAccepted(t *testing.T) (i *postgrestest.Instance, id string) {
	t.Helper()
	i = postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{Lease: postgrestest.Over})
	c := relationship.Command{ID: uuid.NewString(), Fingerprint: []byte{1}, EventID: uuid.NewString(), EventKey: "organization:o", Event: []byte{1}}
	accepted, err := i.Store.Accept(t.Context(), []string{"organization:o"}, c, func(_ context.Context, c relationship.Command, _ relationship.Departs) (relationship.Command, error) {
		return c, nil
	})
	if err != nil || !accepted.Accepted {
		t.Fatalf("got %+v, %v", accepted, err)
	}
	return i, c.ID
}

// lateWrite writes as the engine does.
const lateWrite = `
	insert into authz_fga.tuple (store, object_type, object_id, relation, _user, user_type, ulid, inserted_at)
	select id, 'organization', 'o', 'owner', 'user:late', 'user', '01HVMMBCMGZNT3SED4Z17ECXCA', now() from authz_fga.store`

// A deletion of everything about an object meets what other instances write at the same time: when the last answer is given, nothing is
// left of what was acknowledged before it began.
func TestDeleteAllOf(t *testing.T) {
	t.Parallel()
	both := instances(t, postgrestest.Options{})
	check.NoError(t, write(t, both[0], relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t,
		"organization:a#member@user:u", "organization:b#owner@user:u", "group:g#member@user:u", "user:u#organization@organization:a",
		"organization:a#member@user:v")}))
	var wg sync.WaitGroup
	for n := range 4 { // others who hold some of the locks
		wg.Go(func() {
			noErrorf(t, write(t, both[n%2], relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, fmt.Sprintf("organization:a#member@user:%d", n))}))
		})
	}
	noErrorf(t, write(t, both[1], relationship.Change{ID: uuid.NewString(), DeleteAllOf: "user:u"}))
	wg.Wait()
	left, err := both[0].Engine.TuplesOf(t.Context(), "user:u")
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	wantTuples(t, both[0], []string{"organization:a#member@user:v", "organization:a#member@user:3"}, nil)
	last := both[0].Events(t)
	if !slices.ContainsFunc(last, func(e event.Event) bool { return e.ObjectType == "user" && e.ObjectID == "u" }) {
		t.Error("no audit row names the object of the deletion")
	}
	check.NoError(t, write(t, both[0], relationship.Change{ID: uuid.NewString(), DeleteAllOf: "user:unknown"})) // nothing to delete is not an error
	wantNoLocks(t, both[0])
}

func noErrorf(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// A process that is stopped inside the first transaction loses it: others go on without waiting for it.
func TestStoppedInTheFirstTransaction(t *testing.T) {
	t.Parallel()
	database := postgrestest.Database(t)
	at, resume := make(chan struct{}), make(chan struct{})
	stopped := postgrestest.Open(t, database, postgrestest.Options{Step: func(s postgrestest.Step) {
		if s == postgrestest.Locked {
			close(at)
			<-resume
		}
	}})
	other := postgrestest.Open(t, database, postgrestest.Options{})
	answered := make(chan error, 1)
	go func() {
		_, err := stopped.Write(postgrestest.Draft(context.Background(), "identity"), "identity",
			relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, "organization:o#owner@user:u")}, nil)
		answered <- err
	}()
	<-at
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := other.Write(postgrestest.Draft(ctx, "identity"), "identity",
		relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, "organization:o#owner@user:v")}, nil)
	check.NoError(t, err)
	close(resume)
	if err := <-answered; !errors.Is(err, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "")) {
		t.Errorf("the stopped one got %v, want DATABASE_UNAVAILABLE", err)
	}
	wantTuples(t, other, []string{"organization:o#owner@user:v"}, []string{"organization:o#owner@user:u"})
	if got := len(other.Events(t)); got != 1 {
		t.Errorf("%d audit rows, want 1", got)
	}
}
