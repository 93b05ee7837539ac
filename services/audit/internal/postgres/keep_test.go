package postgres_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

const (
	acme  = "aaaaaaaa-2222-4333-8444-555555555555"
	other = "bbbbbbbb-2222-4333-8444-555555555555"
)

// keeping is a trail with what its owner does.
type keeping struct {
	store   *postgres.Events
	serving *pgxpool.Pool
	owner   *pgxpool.Pool
	upkeep  *postgres.Upkeep
}

func newKeeping(t *testing.T) keeping {
	t.Helper()
	serving, owner := pools(t)
	return keeping{postgres.NewEvents(serving), serving, owner, postgres.NewUpkeep(outboxtest.New(t, owner, "audit"), slog.New(slog.DiscardHandler))}
}

// daysAgo makes an event of so many days ago, of an organization, with a personal value.
func daysAgo(t *testing.T, days int, organization string, change ...func(*event.Event)) trail.Entry {
	t.Helper()
	old := func(e *event.Event) {
		e.Time, e.OrganizationID, e.Actor.SessionID = time.Now().AddDate(0, 0, -days), organization, "" // one personal value
		e.Changes = append(e.Changes, event.Change{Field: "user.email", Value: json.RawMessage(`"ada@example.com"`), Personal: true})
	}
	return trailtest.Entry(t, trailtest.Event(append([]func(*event.Event){old}, change...)...))
}

func denied(e *event.Event) {
	e.Outcome, e.Reason, e.Action = event.Denied, "PERMISSION_DENIED", "permission.denied"
}
func signedIn(e *event.Event) { e.Action = "auth.signed_in" }

// left are the positions of the events and of the personal values that there are.
func (k keeping) left(t *testing.T) (events, values string) {
	t.Helper()
	check.NoError(t, k.owner.QueryRow(t.Context(), `
		select coalesce((select string_agg(position::text, ' ' order by position) from audit.events), ''),
			coalesce((select string_agg(position::text, ' ' order by position) from audit.personal_values), '')`).Scan(&events, &values))
	return events, values
}

func (k keeping) retain(t *testing.T, organization string, class trail.Class, days int) {
	t.Helper()
	check.NoError(t, k.upkeep.SetRetention(t.Context(), trail.Retention{OrganizationID: organization, Class: class, Days: days}, "the law says so"))
}

func (k keeping) keep(t *testing.T) postgres.Kept {
	t.Helper()
	check.NoError(t, sequencer(t, k.owner).Grow(t.Context()))
	done, err := k.upkeep.Keep(t.Context(), time.Now())
	check.NoError(t, err)
	return done
}

// actions are those of the events that the upkeep has recorded, and its changes.
func (k keeping) recorded(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, e := range outboxtest.Events(t, k.owner, "audit") {
		fmt.Fprintf(&b, "%s %s:%s", e.Action, e.ObjectType, e.ObjectID)
		for _, c := range e.Changes {
			fmt.Fprintf(&b, " %s=%s", c.Field, c.Value)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Events go when the retention of their class, of their organization where it has one, is over: one
// by one where others of their month stay. What went is refused when it comes again.
func TestRetentionByClassAndOrganization(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	entries := []trail.Entry{
		daysAgo(t, 40, acme), daysAgo(t, 40, acme, denied), daysAgo(t, 40, other, denied), daysAgo(t, 20, other, denied),
		daysAgo(t, 40, acme, signedIn), daysAgo(t, 400, other), daysAgo(t, 40, "", denied), daysAgo(t, 40, acme, denied),
	}
	kept(t, k.store, entries, trail.Kept)
	if done := k.keep(t); done.Events != 0 || k.recorded(t) != "" {
		t.Errorf("without a retention: %+v\n%s", done, k.recorded(t))
	}
	k.retain(t, "", trail.Refusals, 30)
	k.retain(t, acme, trail.Refusals, 60)
	k.retain(t, "", trail.Changes, 365)
	done := k.keep(t)
	if events, values := k.left(t); events != "1 2 4 5 8" || values != events || done.Events != 3 || done.PersonalValues != 3 {
		t.Errorf("left are %s with values of %s, %+v", events, values, done)
	}
	want := `audit.retention_set audit_retention:refusals days=30 reason="the law says so"
audit.retention_set audit_retention:refusals days=60 reason="the law says so"
audit.retention_set audit_retention:changes days=365 reason="the law says so"
audit.events_removed audit_trail: events=3 personal_values=3 months=[]
`
	if got := k.recorded(t); got != want {
		t.Errorf("recorded is\n%s", got)
	}
	verdicts, err := k.store.Append(t.Context(), entries)
	if want := []trail.Verdict{trail.Known, trail.Known, trail.Over, trail.Known, trail.Known, trail.Over, trail.Over, trail.Known}; err != nil || !slices.Equal(verdicts, want) {
		t.Errorf("again: %v, %v", verdicts, err)
	}
	kept(t, k.store, []trail.Entry{daysAgo(t, 31, other, denied)}, trail.Over)
	kept(t, k.store, []trail.Entry{daysAgo(t, 59, acme, denied), daysAgo(t, 364, other)}, trail.Kept)
	k.retain(t, acme, trail.Refusals, 7)
	if done := k.keep(t); done.Events != 3 {
		t.Errorf("a shorter one: %+v", done)
	}
}

// The last event stays, however old: positions are counted on from it.
func TestTheLastEventStays(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	kept(t, k.store, []trail.Entry{daysAgo(t, 40, acme), daysAgo(t, 50, acme)}, trail.Kept)
	k.retain(t, "", trail.Changes, 7)
	k.keep(t)
	if events, _ := k.left(t); events != "2" {
		t.Errorf("left are %s", events)
	}
	kept(t, k.store, []trail.Entry{daysAgo(t, 1, acme)}, trail.Kept)
	k.keep(t)
	if events, _ := k.left(t); events != "3" {
		t.Errorf("left are %s after another one", events)
	}
}

// A hold beats retention, in one dimension and in all, until it is lifted.
func TestHoldsBeatRetention(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	kept(t, k.store, []trail.Entry{
		daysAgo(t, 40, acme), daysAgo(t, 40, other), daysAgo(t, 40, other, func(e *event.Event) { e.Actor.ID = "eve" }),
		daysAgo(t, 40, other, func(e *event.Event) { e.ObjectID = "eve" }), daysAgo(t, 100, other), daysAgo(t, 99, acme), daysAgo(t, 1, ""),
	}, trail.Kept)
	k.retain(t, "", trail.Changes, 30)
	holds := []trail.Hold{
		{OrganizationID: acme, Since: time.Now().AddDate(0, 0, -60), Reason: "a case"}, {SubjectID: "eve", Reason: "another"},
		{Until: time.Now().AddDate(0, 0, -99).Add(-time.Hour), Reason: "a period"},
	}
	var ids []string
	for _, h := range holds {
		id, err := k.upkeep.SetHold(t.Context(), h)
		check.NoError(t, err)
		ids = append(ids, id)
	}
	k.keep(t)
	if events, values := k.left(t); events != "1 3 4 5 7" || values != events {
		t.Errorf("left are %s, values of %s", events, values)
	}
	listed, err := k.upkeep.Holds(t.Context())
	if err != nil || len(listed) != 3 || listed[1].SubjectID != "eve" || !listed[1].Since.IsZero() || listed[0].Until.Before(listed[0].Since) && !listed[0].Until.IsZero() {
		t.Errorf("holds %+v, %v", listed, err)
	}
	check.NoError(t, k.upkeep.LiftHold(t.Context(), ids[1], "it is over"))
	if err := k.upkeep.LiftHold(t.Context(), ids[1], "it is over"); err == nil || !strings.Contains(err.Error(), "there is no hold") {
		t.Errorf("lifted twice: %v", err)
	}
	k.keep(t)
	if events, _ := k.left(t); events != "1 5 7" {
		t.Errorf("left are %s", events)
	}
	if got := k.recorded(t); strings.Count(got, "audit.hold_set") != 3 || !strings.Contains(got, `audit.hold_lifted audit_hold:`+ids[1]+` reason="it is over"`) {
		t.Errorf("recorded is\n%s", got)
	}
}

// Months that are over as a whole are dropped, but for those with an event that is held.
func TestMonthsAreDropped(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	past, future := time.Now().AddDate(-2, 0, 0), time.Now().AddDate(0, 4, 0)
	pastMonths(t, k.owner, past)
	kept(t, k.store, []trail.Entry{daysAgo(t, 700, acme), daysAgo(t, 699, other), daysAgo(t, 500, acme), daysAgo(t, 400, acme), daysAgo(t, 1, "")}, trail.Kept)
	hold, err := k.upkeep.SetHold(t.Context(), trail.Hold{OrganizationID: other, Reason: "a case"})
	check.NoError(t, err)
	for _, class := range trail.Classes() {
		k.retain(t, "", class, 450)
	}
	check.NoError(t, sequencer(t, k.owner).Grow(t.Context()))
	done, err := k.upkeep.Keep(t.Context(), future)
	check.NoError(t, err)
	events, values := k.left(t)
	if events != "2 4 5" || values != events || done.Events != 2 || len(done.Months) < 5 || done.Made == 0 {
		t.Errorf("left are %s with values of %s, %+v", events, values, done)
	}
	check.NoError(t, k.upkeep.LiftHold(t.Context(), hold, "closed"))
	done = k.keep(t)
	if events, _ := k.left(t); events != "4 5" || done.Events != 1 || len(done.Months) == 0 {
		t.Errorf("left are %s, %+v", events, done)
	}
	kept(t, k.store, []trail.Entry{daysAgo(t, 700, acme), daysAgo(t, 5000, acme)}, trail.Over)
	kept(t, k.store, []trail.Entry{daysAgo(t, 449, acme), daysAgo(t, 0, acme)}, trail.Kept)
	head, err := k.store.Head(t.Context())
	if err != nil || head != 7 {
		t.Errorf("the head is %d, %v", head, err)
	}
}

// pastMonths makes the trail one that began long ago.
func pastMonths(t *testing.T, owner *pgxpool.Pool, since time.Time) {
	t.Helper()
	first := time.Date(since.Year(), since.Month(), 1, 0, 0, 0, 0, time.UTC)
	_, err := owner.Exec(t.Context(), fmt.Sprintf(`
		do $$
		declare
			bound timestamptz := (select substring(pg_get_expr(relpartbound, oid) from 'TO \(''(.*)''\)')::timestamptz from pg_class where oid = 'audit.events_first'::regclass);
			month timestamptz := '%[1]s';
		begin
			drop table audit.events_first;
			create table audit.events_first partition of audit.events for values from (minvalue) to ('%[1]s');
			while month < bound loop
				execute format('create table audit.%%I partition of audit.events for values from (%%L) to (%%L)',
					'events_' || to_char(month at time zone 'UTC', 'YYYY_MM'), month, (month at time zone 'UTC' + interval '1 month') at time zone 'UTC');
				month := (month at time zone 'UTC' + interval '1 month') at time zone 'UTC';
			end loop;
		end $$`, first.Format("2006-01-02 15:04:05Z07:00")))
	check.NoError(t, err)
}

// What cannot be meant is refused with a sentence, and changes nothing.
func TestBadUpkeep(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	for name, c := range map[string]struct {
		do   func() error
		want string
	}{
		"a short retention": {func() error {
			return k.upkeep.SetRetention(t.Context(), trail.Retention{Class: trail.Changes, Days: 6}, "r")
		}, "give 7 to 36500"},
		"no class":  {func() error { return k.upkeep.SetRetention(t.Context(), trail.Retention{Class: "x", Days: 60}, "r") }, `"x" is unknown`},
		"no reason": {func() error { return k.upkeep.SetRetention(t.Context(), trail.Retention{Class: trail.Changes}, " ") }, "reason is missing"},
		"no organization": {func() error {
			return k.upkeep.SetRetention(t.Context(), trail.Retention{Class: trail.Changes, OrganizationID: "acme"}, "r")
		}, "no UUID"},
		"a hold of all": {func() error { _, err := k.upkeep.SetHold(t.Context(), trail.Hold{Reason: "r"}); return err }, "names no events"},
		"a hold from behind": {func() error {
			_, err := k.upkeep.SetHold(t.Context(), trail.Hold{Since: time.Unix(2, 0), Until: time.Unix(1, 0), Reason: "r"})
			return err
		}, "ends before it begins"},
		"no hold": {func() error { return k.upkeep.LiftHold(t.Context(), "x", "r") }, "no UUID"},
	} {
		if err := c.do(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, err := k.upkeep.Retentions(t.Context())
	if err != nil || len(all) != 3 || slices.ContainsFunc(all, func(r trail.Retention) bool { return r.Days != 0 || !r.Since.IsZero() }) || k.recorded(t) != "" {
		t.Errorf("got %+v, %v\n%s", all, err, k.recorded(t))
	}
}

// Who stays runs so long after the last run of anybody.
func TestKeepIsDue(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	for every, want := range map[time.Duration]bool{0: true, time.Hour: false} {
		if due, err := k.upkeep.Due(t.Context(), every); err != nil || due != want {
			t.Errorf("every %s: %t, %v", every, due, err)
		}
	}
}

// A hold means a subject however its id is spelled.
func TestAHoldMeansASubjectInAnySpelling(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	of := func(id string) func(*event.Event) { return func(e *event.Event) { e.ObjectID = id } }
	kept(t, k.store, []trail.Entry{daysAgo(t, 40, acme, of(other)), daysAgo(t, 40, acme), daysAgo(t, 1, acme)}, trail.Kept)
	k.retain(t, "", trail.Changes, 30)
	_, err := k.upkeep.SetHold(t.Context(), trail.Hold{SubjectID: strings.ToUpper(other), Reason: "a case"})
	check.NoError(t, err)
	k.keep(t)
	if events, values := k.left(t); events != "1 3" || values != events {
		t.Errorf("left are %s, values of %s", events, values)
	}
}
