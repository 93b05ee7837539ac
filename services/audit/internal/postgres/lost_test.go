package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// R69: a superuser who deletes an event and notes it as lost is found, by who verifies and by the
// pass: in the first origin, which was never reopened, and beside what was lost by right.
func TestADeletionThatIsNotedAsLostIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cut    []string // before the log is reopened; nil when it is not
		number int
		event  bool
		lost   string
		verify string
		pass   string // "" when it does not know
	}{
		"never reopened": {nil, 1, false, "(1, 12, 12)", "leaf 11: its event is gone, and no event audit.log_reopened", "positions 12 to 12: some are noted as lost, and the log was never reopened"},
		"reopened": {[]string{"delete from audit.events where position > 400"}, 2, true, "(2, 12, 12)",
			"leaf 11: its event is gone, and no event audit.log_reopened", "positions 12 to 600: those that are noted as lost when origin 2 began are not those"},
		"reopened, and in the first": {[]string{"delete from audit.events where position > 400"}, 2, true, "(1, 12, 12)",
			"leaf 11: its event is gone, and no event audit.log_reopened", "positions 12 to 12: some are noted as lost, and the log was never reopened"},
		"reopened without an event": {[]string{"delete from audit.events where position > 400"}, 2, false, "(2, 12, 12)", "leaf 11: its event is gone", "and no event says so"},
		"many ranges": {[]string{"delete from audit.events where position > 512 and position % 2 = 0", "delete from audit.events where position between 260 and 500 and position % 2 = 0"}, 2, true,
			"(2, 12, 12)", "leaf 11: its event is gone", "positions 12 to 600: those that are noted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serving, owner, _, _ := grown(t)
			super := pgtest.Superuser(t, owner)
			do := func(statement string) {
				t.Helper()
				_, err := super.Exec(t.Context(), statement)
				check.NoError(t, err)
			}
			for _, cut := range c.cut {
				do(cut)
			}
			if c.cut != nil {
				trailtest.Fill(t, postgres.NewEvents(serving), 3)
				_, told, err := reopened(t, serving)
				check.NoError(t, err)
				if c.event {
					delivered(t, serving, told)
				} else {
					trailtest.Fill(t, postgres.NewEvents(serving), 1)
					do("update audit.origins set time = time - interval '2 h'")
				}
				check.NoError(t, sequencer(t, serving).Grow(t.Context()))
			}
			if c.cut == nil || c.event {
				if _, report := verified(t, serving, c.number); len(report.Findings) > 0 {
					t.Fatalf("before the deletion: %+v", report)
				}
				if found, log, _ := passed(t, serving, owner); found.Differences > 0 {
					t.Fatalf("before the deletion: %s", log)
				}
			}
			do("delete from audit.events where position = 12")
			do("insert into audit.lost_events values " + c.lost)
			_, report := verified(t, serving, c.number)
			if len(report.Findings) == 0 || !strings.HasPrefix(fmt.Sprintf("leaf %d: %s", report.Findings[0].Index, report.Findings[0].Text), c.verify) {
				t.Errorf("verified: %+v", report)
			}
			if found, log, _ := passed(t, serving, owner); found.Differences != 1 || !strings.Contains(log, c.pass) {
				t.Errorf("the pass: %+v\n%s", found, log)
			}
		})
	}
}

// Retention removes no event that says what was lost: without it what is lost by right would look
// deleted.
func TestRetentionKeepsWhatNamesTheLost(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	pastMonths(t, k.owner, time.Now().AddDate(0, -6, 0))
	old := func(e *event.Event) {
		e.Time, e.Source, e.Action, e.ObjectID = time.Now().AddDate(0, 0, -100), "audit", "audit.log_reopened", platform+"/audit/2"
	}
	_, err := k.store.Append(t.Context(), []trail.Entry{daysAgo(t, 100, acme), trailtest.Entry(t, trailtest.Event(old)), daysAgo(t, 1, acme), daysAgo(t, 1, acme)})
	check.NoError(t, err)
	check.NoError(t, sequencer(t, k.owner).Grow(t.Context()))
	for _, class := range trail.Classes() {
		k.retain(t, "", class, 7)
	}
	if done := k.keep(t); done.Events != 1 {
		t.Errorf("%+v", done)
	}
	var left int
	check.NoError(t, k.owner.QueryRow(t.Context(), "select count(*) from audit.events where action = 'audit.log_reopened'").Scan(&left))
	if left != 1 {
		t.Error("the event is removed")
	}
}
