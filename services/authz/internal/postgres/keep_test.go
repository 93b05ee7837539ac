package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

const (
	administrators = "platform:gatehouse#administrator@"
	owners         = "organization:o#owner@"
)

// exist returns the relationships by which users exist here.
func exist(users ...string) (all []string) {
	for _, u := range users {
		all = append(all, u+"#organization@organization:home")
	}
	return all
}

// changed makes a change; "-" before a relationship deletes it.
func changed(t *testing.T, i *postgrestest.Instance, texts ...string) error {
	t.Helper()
	c := relationship.Change{ID: uuid.NewString()}
	for _, text := range texts {
		if rest, ok := strings.CutPrefix(text, "-"); ok {
			c.Deletes = append(c.Deletes, postgrestest.Tuple(t, rest))
		} else {
			c.Writes = append(c.Writes, postgrestest.Tuple(t, text))
		}
	}
	return write(t, i, c)
}

func departs(t *testing.T, i *postgrestest.Instance, user, ends string) error {
	t.Helper()
	return i.Depart(postgrestest.Draft(t.Context(), "identity"), relationship.Departure{ID: uuid.NewString(), User: user, Ends: ends}, nil)
}

func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	var known *apierr.Error
	if reason == "" && err != nil || reason != "" && (!errors.As(err, &known) || known.Kind != apierr.FailedPrecondition || known.Reason != reason) {
		t.Errorf("got %v, want %q", err, reason)
	}
}

// R89: no change takes the last user who exists from the administrators of the platform or the
// owners of an organization, by whatever way that user has the role.
func TestTheLastOneStays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		there  []string
		change []string
		reason string
	}{
		"the only administrator":           {append(exist("user:a"), administrators+"user:a"), []string{"-" + administrators + "user:a"}, "LAST_ADMINISTRATOR"},
		"one of two":                       {append(exist("user:a", "user:b"), administrators+"user:a", administrators+"user:b"), []string{"-" + administrators + "user:a"}, ""},
		"both of two":                      {append(exist("user:a", "user:b"), administrators+"user:a", administrators+"user:b"), []string{"-" + administrators + "user:a", "-" + administrators + "user:b"}, "LAST_ADMINISTRATOR"},
		"handed over":                      {append(exist("user:a", "user:b"), administrators+"user:a"), []string{"-" + administrators + "user:a", administrators + "user:b"}, ""},
		"handed over to nobody":            {append(exist("user:a"), administrators+"user:a"), []string{"-" + administrators + "user:a", administrators + "user:b"}, "LAST_ADMINISTRATOR"},
		"the other never existed":          {append(exist("user:a"), administrators+"user:a", administrators+"user:b"), []string{"-" + administrators + "user:a"}, "LAST_ADMINISTRATOR"},
		"the other is a program":           {append(exist("user:a"), administrators+"user:a", administrators+"service_account:b"), []string{"-" + administrators + "user:a"}, "LAST_ADMINISTRATOR"},
		"the other is an empty group":      {append(exist("user:a"), administrators+"user:a", administrators+"group:g#member"), []string{"-" + administrators + "user:a"}, "LAST_ADMINISTRATOR"},
		"the other is in a group":          {append(exist("user:a", "user:b"), administrators+"user:a", administrators+"group:g#member", "group:g#member@user:b"), []string{"-" + administrators + "user:a"}, ""},
		"out of the group":                 {append(exist("user:b"), administrators+"group:g#member", "group:g#member@user:b"), []string{"-group:g#member@user:b"}, "LAST_ADMINISTRATOR"},
		"out of a nested group":            {append(exist("user:b"), administrators+"group:g#member", "group:g#member@group:h#member", "group:h#member@user:b"), []string{"-group:h#member@user:b"}, "LAST_ADMINISTRATOR"},
		"the group between":                {append(exist("user:b"), administrators+"group:g#member", "group:g#member@group:h#member", "group:h#member@user:b"), []string{"-group:g#member@group:h#member"}, "LAST_ADMINISTRATOR"},
		"groups in a circle":               {append(exist("user:b"), administrators+"group:g#member", "group:g#member@group:h#member", "group:h#member@group:g#member", "group:h#member@user:b"), []string{"-group:h#member@user:b"}, "LAST_ADMINISTRATOR"},
		"by another way too":               {append(exist("user:b"), administrators+"group:g#member", administrators+"user:b", "group:g#member@user:b"), []string{"-group:g#member@user:b"}, ""},
		"a group that leads nowhere":       {append(exist("user:b"), "group:g#member@user:b"), []string{"-group:g#member@user:b"}, ""},
		"the user's existence":             {append(exist("user:a"), administrators+"user:a"), []string{"-user:a#organization@organization:home"}, "LAST_ADMINISTRATOR"},
		"there was none":                   {[]string{administrators + "user:a"}, []string{"-" + administrators + "user:a"}, ""},
		"what is not there":                {append(exist("user:a"), administrators+"user:a"), []string{"-" + administrators + "user:b"}, ""},
		"the only owner":                   {append(exist("user:a"), owners+"user:a"), []string{"-" + owners + "user:a"}, "LAST_OWNER"},
		"one of two owners":                {append(exist("user:a", "user:b"), owners+"user:a", owners+"user:b"), []string{"-" + owners + "user:a"}, ""},
		"an owner through a group":         {append(exist("user:b"), owners+"group:g#member", "group:g#member@user:b"), []string{"-group:g#member@user:b"}, "LAST_OWNER"},
		"an admin of an organization goes": {append(exist("user:a"), "organization:o#admin@user:a"), []string{"-organization:o#admin@user:a"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
			fgatest.Write(t, i.Engine, c.there...)
			wantReason(t, changed(t, i, c.change...), c.reason)
			for _, text := range c.there {
				if gone := c.reason == "" && contains(c.change, "-"+text); i.Has(t, text) == gone {
					t.Errorf("%s is there: %t", text, !gone)
				}
			}
			if locks := i.Locks(t); len(locks) != 0 {
				t.Errorf("locked are %v", locks)
			}
		})
	}
}

func contains(texts []string, text string) bool {
	for _, t := range texts {
		if t == text {
			return true
		}
	}
	return false
}

// R89: Identity asks before a deletion begins. Who may go counts nowhere from then on, although the
// relationships are still there; their removal is a fact that is not refused.
func TestDepartures(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	fgatest.Write(t, i.Engine, append(exist("user:a", "user:b", "user:c"), administrators+"user:a", administrators+"group:g#member",
		"group:g#member@user:b", owners+"user:c", "organization:own#owner@user:b")...)
	wantReason(t, departs(t, i, "user:c", ""), "LAST_OWNER")
	wantReason(t, departs(t, i, "user:c", "organization:o"), "")
	wantReason(t, departs(t, i, "user:b", "organization:other"), "LAST_OWNER")
	wantReason(t, departs(t, i, "user:b", "organization:own"), "")
	wantReason(t, departs(t, i, "user:b", "organization:own"), "") // as often as one likes
	wantReason(t, departs(t, i, "user:a", ""), "LAST_ADMINISTRATOR")
	wantReason(t, changed(t, i, "-"+administrators+"user:a"), "LAST_ADMINISTRATOR")
	wantReason(t, changed(t, i, "-"+administrators+"user:a", administrators+"user:b"), "LAST_ADMINISTRATOR")
	wantReason(t, write(t, i, relationship.Change{ID: uuid.NewString(), DeleteAllOf: "user:b"}), "")
	if i.Has(t, "group:g#member@user:b") {
		t.Error("the relationships of a deleted user are there")
	}
	wantReason(t, write(t, i, relationship.Change{ID: uuid.NewString(), DeleteAllOf: "user:a"}), "") // a fact, whatever it leads to
	reserved := 0
	for _, e := range i.Events(t) {
		if e.ObjectType == "" && e.ObjectID == "b" {
			reserved++
		}
	}
	if reserved != 2 {
		t.Errorf("%d events of the reservations of user b", reserved)
	}
}

// Two who leave at once, by whatever ways, leave one (R89): 60 rounds over two instances.
func TestTwoWhoLeaveAtOnceLeaveOne(t *testing.T) {
	t.Parallel()
	all := instances(t, postgrestest.Options{})
	there := append(exist("user:a", "user:b"), administrators+"group:x#member", "group:x#member@group:y#member", "group:y#member@user:a", administrators+"user:b")
	ways := []struct {
		a, b func(i *postgrestest.Instance) error
	}{
		{func(i *postgrestest.Instance) error { return changed(t, i, "-group:y#member@user:a") },
			func(i *postgrestest.Instance) error { return changed(t, i, "-"+administrators+"user:b") }},
		{func(i *postgrestest.Instance) error { return departs(t, i, "user:a", "") },
			func(i *postgrestest.Instance) error { return departs(t, i, "user:b", "") }},
		{func(i *postgrestest.Instance) error { return departs(t, i, "user:a", "") },
			func(i *postgrestest.Instance) error { return changed(t, i, "-"+administrators+"user:b") }},
		{func(i *postgrestest.Instance) error { return suspends(t, i, "user:a", 2) },
			func(i *postgrestest.Instance) error { return suspends(t, i, "user:b", 2) }},
		{func(i *postgrestest.Instance) error { return suspends(t, i, "user:a", 2) },
			func(i *postgrestest.Instance) error { return departs(t, i, "user:b", "") }},
	}
	for round := range 60 {
		fgatest.Write(t, all[0].Engine, there...)
		if _, err := all[0].Pool.Exec(t.Context(), "with d as (delete from authz.departures) delete from authz.suspensions"); err != nil {
			t.Fatal(err)
		}
		way := ways[round%len(ways)]
		var first, second error
		var both sync.WaitGroup
		both.Go(func() { first = way.a(all[0]) })
		both.Go(func() { second = way.b(all[1]) })
		both.Wait()
		if (first == nil) == (second == nil) {
			t.Fatalf("round %d: %v and %v, want one of them refused", round, first, second)
		}
		for _, err := range []error{first, second} {
			if err != nil {
				wantReason(t, err, "LAST_ADMINISTRATOR")
			}
		}
	}
}

// A group that leads nowhere does not wait for the platform, and one that leads to it does (the
// decision rests on locked objects alone).
func TestWhatADecisionLocks(t *testing.T) {
	t.Parallel()
	var locked [][]string
	var i *postgrestest.Instance
	i = postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{Step: func(s postgrestest.Step) {
		if s == postgrestest.Accepted {
			locked = append(locked, i.Locks(t))
		}
	}})
	fgatest.Write(t, i.Engine, append(exist("user:a", "user:b"), administrators+"user:a", administrators+"group:g#member", "group:g#member@user:b", "group:h#member@user:b")...)
	check.NoError(t, changed(t, i, "-group:h#member@user:b"))
	check.NoError(t, changed(t, i, "-group:g#member@user:b"))
	for n, want := range []string{"group:h", "group:g platform:gatehouse user:a"} {
		if got := strings.Join(locked[n], " "); got != want {
			t.Errorf("change %d locks %q, want %q", n, got, want)
		}
	}
}

// Many who leave at once, more than the pool has connections, all get an answer: a decision needs
// the one of its transaction alone (R89).
func TestManyLeaveAtOnce(t *testing.T) {
	t.Parallel()
	database := postgrestest.Database(t)
	database.MaxConns = 4
	i := postgrestest.Open(t, database, postgrestest.Options{})
	const leaving = 12
	there := append(exist("user:stays"), administrators+"user:stays")
	for n := range leaving {
		user := fmt.Sprintf("user:%02d", n)
		there = append(there, administrators+user)
		there = append(there, exist(user)...)
	}
	fgatest.Write(t, i.Engine, there...)
	var all sync.WaitGroup
	for n := range leaving {
		user := fmt.Sprintf("user:%02d", n)
		all.Go(func() {
			if n%2 == 0 {
				wantReason(t, departs(t, i, user, ""), "")
			} else {
				wantReason(t, changed(t, i, "-"+administrators+user), "")
			}
		})
	}
	all.Wait()
	wantReason(t, departs(t, i, "user:stays", ""), "LAST_ADMINISTRATOR")
}
