package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// Variables by which a test tells the process that it kills what to do.
const (
	crashURL    = "CRASH_TEST_URL"
	crashStep   = "CRASH_TEST_STEP"
	crashChange = "CRASH_TEST_CHANGE"
)

// members is how many relationships the deletion of all meets: more than one transaction of the engine takes.
const members = 150

// G1, G2, R67: a process is killed between every two steps of a write, and another one is started. The change is then complete or absent,
// with exactly one audit row or none, and its objects are free; asked for again, it is complete with exactly one.
func TestKilledBetweenTheSteps(t *testing.T) {
	database := postgrestest.Database(t)
	parent := postgrestest.Open(t, database, postgrestest.Options{})
	for _, c := range []struct {
		step     postgrestest.Step
		accepted bool // before the kill
		applied  bool
	}{
		{postgrestest.Received, false, false},
		{postgrestest.Locked, false, false},
		{postgrestest.Accepted, true, false},
		{postgrestest.Part, true, false},
		{postgrestest.Written, true, false},
		{postgrestest.Marked, true, false},
		{postgrestest.Applied, true, true},
		{postgrestest.Answered, true, true},
	} {
		t.Run(string(c.step), func(t *testing.T) {
			change, before, after := prepareCrash(t, parent, c.step)
			known := len(parent.Events(t))
			killAt(t, database, c.step, change)
			if got := len(parent.Events(t)) - known; got != count(c.applied) {
				t.Fatalf("%d audit rows before the recovery, want %d", got, count(c.applied))
			}
			if c.applied {
				wantTuples(t, parent, after, before)
			}

			restarted := postgrestest.Open(t, database, postgrestest.Options{})
			completed, err := restarted.CompleteAbandoned(t.Context())
			check.NoError(t, err)
			if want := count(c.accepted && !c.applied); completed != want {
				t.Errorf("%d changes were completed, want %d", completed, want)
			}
			if c.accepted {
				wantTuples(t, restarted, after, before)
			} else {
				wantTuples(t, restarted, before, after)
			}
			if got := len(restarted.Events(t)) - known; got != count(c.accepted) {
				t.Errorf("%d audit rows after the recovery, want %d", got, count(c.accepted))
			}
			wantNoLocks(t, restarted)

			token, err := restarted.Write(postgrestest.Draft(t.Context(), "identity"), "identity", change, nil)
			check.NoError(t, err)
			check.NoError(t, restarted.Fresh(t.Context(), token))
			wantTuples(t, restarted, after, before)
			events := restarted.Events(t)[known:]
			if len(events) != 1 || events[0].Outcome != event.Success {
				t.Errorf("the change has the audit rows %+v, want one success", events)
			}
			wantNoLocks(t, restarted)
		})
	}
}

// Whoever needs an object that a killed process holds completes its change first, without waiting for the loop.
func TestNextChangeHelpsTheKilledOne(t *testing.T) {
	database := postgrestest.Database(t)
	parent := postgrestest.Open(t, database, postgrestest.Options{})
	change, before, after := prepareCrash(t, parent, postgrestest.Accepted)
	killAt(t, database, postgrestest.Accepted, change)
	wantTuples(t, parent, before, after)

	object := change.Writes[0].Object
	next := relationship.Change{
		ID: uuid.NewString(), Writes: postgrestest.Tuples(t, object+"#member@user:next"),
		Preconditions: []relationship.Precondition{{Tuple: change.Writes[0], Exists: true}}, // it sees what it helped with
	}
	_, err := parent.Write(postgrestest.Draft(t.Context(), "identity"), "identity", next, nil)
	check.NoError(t, err)
	wantTuples(t, parent, append(after, object+"#member@user:next"), before)
	if got := len(parent.Events(t)); got != 3 { // what was there before the kill, the killed change and the next one
		t.Errorf("%d audit rows, want 3", got)
	}
	wantNoLocks(t, parent)
}

// prepareCrash writes what is there before the change and returns the change, and what is there only before and only after it.
func prepareCrash(t *testing.T, i *postgrestest.Instance, step postgrestest.Step) (c relationship.Change, before, after []string) {
	t.Helper()
	object := "organization:" + uuid.NewString()
	before, after = []string{object + "#member@user:old"}, []string{object + "#member@user:new"}
	c = relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, after...), Deletes: postgrestest.Tuples(t, before...)}
	if step == postgrestest.Part {
		for n := range members {
			before = append(before, fmt.Sprintf("%s#member@user:%d", object, n))
		}
		c.Deletes, c.DeleteAllOf = nil, object
	}
	for some := range slices.Chunk(before, relationship.MaxTuples) {
		_, err := i.Write(postgrestest.Draft(t.Context(), "identity"), "identity",
			relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, some...)}, nil)
		check.NoError(t, err)
	}
	return c, before, after
}

// killAt runs the change in a process of its own that is killed at the step.
func killAt(t *testing.T, database pg.Config, step postgrestest.Step, c relationship.Change) {
	t.Helper()
	text, err := json.Marshal(c)
	check.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestToBeKilled$", "-test.count=1")
	child.Env = append(os.Environ(), crashURL+"="+database.URL.Reveal(), crashStep+"="+string(step), crashChange+"="+string(text))
	output, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL { // Unix
		t.Fatalf("the process ended with %v instead of being killed at %s: %s", err, step, output)
	}
}

// TestToBeKilled is the process that killAt starts; in any other it has nothing to do.
func TestToBeKilled(t *testing.T) {
	step := postgrestest.Step(os.Getenv(crashStep))
	if step == "" {
		return
	}
	var c relationship.Change
	check.NoError(t, json.NewDecoder(strings.NewReader(os.Getenv(crashChange))).Decode(&c))
	i := postgrestest.Open(t, pg.Config{URL: config.NewSecret(os.Getenv(crashURL)), MaxConns: 4}, postgrestest.Options{
		Lease: postgrestest.Over,
		Step: func(at postgrestest.Step) {
			if at == step {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // the signal is on its way
			}
		},
	})
	_, err := i.Write(postgrestest.Draft(t.Context(), "identity"), "identity", c, nil)
	t.Fatalf("the step %s was not reached: %v", step, err)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func wantTuples(t *testing.T, i *postgrestest.Instance, there, gone []string) {
	t.Helper()
	for _, text := range there {
		if !i.Has(t, text) {
			t.Errorf("%s is not there", text)
		}
	}
	for _, text := range gone {
		if i.Has(t, text) {
			t.Errorf("%s is there", text)
		}
	}
}

func wantNoLocks(t *testing.T, i *postgrestest.Instance) {
	t.Helper()
	if locks := i.Locks(t); len(locks) > 0 {
		t.Errorf("locks are left: %v", locks)
	}
}
