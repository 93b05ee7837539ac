package trail_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// The class of an event follows from its outcome, then its action; a retention of its organization
// counts before that of all.
func TestRetentionOfAnEvent(t *testing.T) {
	t.Parallel()
	noon := time.Date(2031, 1, 1, 12, 0, 0, 0, time.UTC)
	const acme, other = "11111111-2222-4333-8444-555555555555", "22222222-2222-4333-8444-555555555555"
	all := trail.Retentions{
		{Class: trail.Changes}, {Class: trail.SignIns, Since: noon}, {Class: trail.Refusals, Since: noon.Add(time.Hour)},
		{OrganizationID: acme, Class: trail.Refusals, Since: noon.Add(-time.Hour)},
	}
	for _, c := range []struct {
		action, organization string
		outcome              event.Outcome
		at                   time.Duration
		class                trail.Class
		over                 bool
	}{
		{"user.updated", other, event.Success, -time.Hour * 24 * 3650, trail.Changes, false},
		{"user.updated", other, event.Failure, 0, trail.Changes, false},
		{"auth.signed_in", other, event.Success, -time.Microsecond, trail.SignIns, true},
		{"auth.signed_in", other, event.Failure, 0, trail.SignIns, false},
		{"auth.signed_in", other, event.Denied, 0, trail.Refusals, true},
		{"permission.denied", "", event.Denied, time.Minute, trail.Refusals, true},
		{"permission.denied", acme, event.Denied, time.Minute, trail.Refusals, false},
		{"permission.denied", acme, event.Denied, -2 * time.Hour, trail.Refusals, true},
	} {
		e := trailtest.Event(func(e *event.Event) {
			e.Action, e.OrganizationID, e.Outcome, e.Time = c.action, c.organization, c.outcome, noon.Add(c.at)
		})
		if class, over := trail.ClassOf(e), all.Over(e); class != c.class || over != c.over {
			t.Errorf("%+v: %s, over %t", c, class, over)
		}
	}
}

// What is over is rejected with its reason, which says that it is not known to be lost.
func TestWhatIsOverIsRejected(t *testing.T) {
	t.Parallel()
	in := trail.Accept("identity", []event.Sealed{trailtest.Entry(t, trailtest.Event()).Sealed, trailtest.Entry(t, trailtest.Event()).Sealed})
	got := in.Settle([]trail.Verdict{trail.Kept, trail.Over})
	if len(got) != 1 || got[0].Index != 1 || got[0].Reason != trail.ReasonOver || !strings.Contains(got[0].Message, "of 2031-01-01, and changes of that time are not kept") {
		t.Errorf("got %+v", got)
	}
}
