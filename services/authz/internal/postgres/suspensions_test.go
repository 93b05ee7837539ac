package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

func suspends(t *testing.T, i *postgrestest.Instance, user string, revision int64) error {
	t.Helper()
	d := relationship.Departure{ID: uuid.NewString(), User: user, Suspension: revision}
	return i.Depart(postgrestest.Draft(t.Context(), "identity"), d, nil)
}

func settles(t *testing.T, i *postgrestest.Instance, user string, revision int64, returned bool) {
	t.Helper()
	check.NoError(t, i.Settle(postgrestest.Draft(t.Context(), "identity"), relationship.Suspension{User: user, Revision: revision, Returned: returned}))
}

// counts checks whether a user counts as an administrator beside another one.
func counts(t *testing.T, i *postgrestest.Instance, beside string, want bool) {
	t.Helper()
	reason := "LAST_ADMINISTRATOR"
	if want {
		reason = ""
	}
	err := changed(t, i, "-"+administrators+beside)
	wantReason(t, err, reason)
	if err == nil {
		check.NoError(t, changed(t, i, administrators+beside))
	}
}

// R89: who is suspended counts in no decision, however long that takes, until the user is back. The
// highest revision counts, in whatever order things are said.
func TestSuspensions(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	fgatest.Write(t, i.Engine, append(exist("user:a", "user:b"), administrators+"user:a", administrators+"user:b")...)
	counts(t, i, "user:b", true)
	wantReason(t, suspends(t, i, "user:a", 2), "")
	wantReason(t, suspends(t, i, "user:a", 2), "") // as often as one likes
	counts(t, i, "user:b", false)
	wantReason(t, suspends(t, i, "user:b", 7), "LAST_ADMINISTRATOR")
	wantReason(t, departs(t, i, "user:b", ""), "LAST_ADMINISTRATOR")
	settles(t, i, "user:a", 2, false)
	settles(t, i, "user:a", 2, true) // no later
	counts(t, i, "user:b", false)
	n, err := i.Store.ForgetDepartures(t.Context(), time.Now().Add(time.Hour), 10)
	if n != 0 || err != nil {
		t.Errorf("forgot %d settled suspensions, %v", n, err)
	}
	counts(t, i, "user:b", false)
	before := len(i.Events(t))
	settles(t, i, "user:a", 3, true)
	settles(t, i, "user:a", 3, true)
	settles(t, i, "user:a", 2, false) // late
	counts(t, i, "user:b", true)
	if n := len(i.Events(t)) - before; n != 3 { // and the two changes of counts
		t.Errorf("%d events, want one of the return", n)
	}
	wantReason(t, suspends(t, i, "user:a", 4), "")
	settles(t, i, "user:a", 3, true)  // late: of the return before
	settles(t, i, "user:a", 2, false) // later still
	counts(t, i, "user:b", false)
}

// R89: who is invited does not count either, from before the user is there until the invitation is
// accepted, whatever rights the user has by then. Two who count on each other are left by one.
func TestInvitationsDoNotCount(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	fgatest.Write(t, i.Engine, append(exist("user:b"), administrators+"user:b")...)
	wantReason(t, suspends(t, i, "user:invited", 1), "")
	check.NoError(t, changed(t, i, append(exist("user:invited"), administrators+"user:invited", owners+"user:invited")...))
	counts(t, i, "user:b", false)
	settles(t, i, "user:invited", 1, false)
	n, err := i.Store.ForgetDepartures(t.Context(), time.Now().Add(time.Hour), 10)
	if n != 0 || err != nil {
		t.Errorf("forgot %d invitations, %v", n, err)
	}
	wantReason(t, departs(t, i, "user:b", ""), "LAST_ADMINISTRATOR")
	wantReason(t, departs(t, i, "user:invited", ""), "") // cancelled: nobody who counts is missed in the organization
	_, err = i.Pool.Exec(t.Context(), "delete from authz.departures")
	check.NoError(t, err)
	settles(t, i, "user:invited", 2, true)  // accepted
	settles(t, i, "user:invited", 1, false) // late
	counts(t, i, "user:b", true)
	var first, second error
	var both sync.WaitGroup
	both.Go(func() { first = departs(t, i, "user:b", "") })
	both.Go(func() { second = suspends(t, i, "user:invited", 3) })
	both.Wait()
	if (first == nil) == (second == nil) {
		t.Errorf("%v and %v, want one of them refused", first, second)
	}
}

// A suspension that never began is forgotten like a deletion that never did. A settled one stays,
// though a deletion of the user was reserved that never began either, and goes with the user.
func TestSuspensionsAreForgotten(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	fgatest.Write(t, i.Engine, append(exist("user:a", "user:b", "user:c", "user:d"), administrators+"user:b", administrators+"user:d")...)
	for _, user := range []string{"user:a", "user:b", "user:c"} {
		wantReason(t, suspends(t, i, user, 2), "")
	}
	settles(t, i, "user:b", 2, false)
	settles(t, i, "user:c", 2, false)
	wantReason(t, departs(t, i, "user:b", ""), "")
	n, err := i.Store.ForgetDepartures(t.Context(), time.Now().Add(time.Hour), 10)
	if n != 1 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	counts(t, i, "user:d", false)
	wantReason(t, write(t, i, relationship.Change{ID: uuid.NewString(), DeleteAllOf: "user:c"}), "")
	var left []string
	check.NoError(t, i.Pool.QueryRow(t.Context(), `
		select array_agg(subject order by subject) from (select subject from authz.suspensions union all select subject from authz.departures) s`).Scan(&left))
	if len(left) != 1 || left[0] != "user:b" {
		t.Errorf("left are %v, want who is suspended and not deleted", left)
	}
}

// R89: a suspension counts although its reservation was forgotten before it was settled; what is
// said late of the one before a return does not.
func TestASuspensionOutlivesItsReservation(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	fgatest.Write(t, i.Engine, append(exist("user:a", "user:b"), administrators+"user:a", administrators+"user:b")...)
	wantReason(t, suspends(t, i, "user:a", 2), "")
	n, err := i.Store.ForgetDepartures(t.Context(), time.Now().Add(time.Hour), 10)
	if n != 1 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	counts(t, i, "user:b", true)
	settles(t, i, "user:a", 2, false)
	counts(t, i, "user:b", false)
	settles(t, i, "user:a", 3, true)
	settles(t, i, "user:a", 2, false) // late
	counts(t, i, "user:b", true)
	wantReason(t, suspends(t, i, "user:a", 4), "")
	counts(t, i, "user:b", false)
}
