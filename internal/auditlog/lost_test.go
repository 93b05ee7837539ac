package auditlog_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/event"
)

// reopening is the event that begins an origin and says what was lost.
func reopening(t testing.TB, n int, origin string, fields map[string]any, change ...func(*event.Event)) []byte {
	t.Helper()
	e := event.Event{
		ID: fmt.Sprintf("0192f0c1-2f6e-7c3a-9d55-%012x", n), Time: time.Unix(int64(n), 0).UTC(), Source: "audit", Action: "audit.log_reopened",
		Outcome: event.Success, Actor: event.Actor{Type: event.Service, ID: "gateway"}, ObjectType: "audit_log", ObjectID: origin,
	}
	for _, field := range []string{"lost_events", "lost_positions", "lost_positions_sha256"} {
		if value, ok := fields[field]; ok {
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			e.Changes = append(e.Changes, event.Change{Field: field, Value: text})
		}
	}
	for _, c := range change {
		c(&e)
	}
	sealed, err := e.Seal(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return sealed.Canonical
}

// lostLog is a log in which the events at positions 6, 7 and 9 to 12 are lost, with an event that
// says something of them, or none, and what its checkpoint is.
func lostLog(t testing.TB, origin string, at int, told ...[]byte) ([]auditlog.Stored, auditlog.Checkpoint) {
	t.Helper()
	var l auditlogtest.Log
	var stored []auditlog.Stored
	for i := range 20 {
		s := auditlog.Stored{Index: int64(i), Canonical: happened(t, i).Canonical}
		if i >= at && i < at+len(told) {
			s.Canonical = told[i-at]
		}
		leaf := s.Canonical
		if s.Lost = i >= 5 && i < 12 && i != 7; s.Lost {
			s.Canonical = nil
			if i >= 8 {
				leaf = fmt.Appendf(nil, "gatehouse.audit.lost/1\n%d\n", i+1)
			}
		}
		s.Leaf = auditlog.LeafHash(leaf)
		l.Add(t, leaf)
		stored = append(stored, s)
	}
	return stored, auditlog.Checkpoint{Origin: origin, Size: 20, Root: l.Root(t, 20)}
}

// What was lost when the log was reopened is counted and no finding, as far as the event of that
// says so, an event of this log or of one before it: a row of the database is no such thing.
func TestLostLeaves(t *testing.T) {
	const one, two, three = "example.com/audit/1", "example.com/audit/2", "example.com/audit/3"
	all := map[string]any{"lost_events": 6, "lost_positions": []string{"6-7", "9-12"}}
	some := map[string]any{"lost_events": 4, "lost_positions": []string{"9-12"}}
	rest := map[string]any{"lost_events": 2, "lost_positions": []string{"6-7"}}
	// printf '6-7\n9-12\n' | sha256sum
	sum := map[string]any{"lost_events": 6, "lost_positions": []string{"6-7"}, "lost_positions_sha256": "0f01c19837d738963ebabc8a0b61e245fa2ba812616b07e306adac55ea8e5da7"}
	another := map[string]any{"lost_events": 6, "lost_positions": []string{"6-7"}, "lost_positions_sha256": strings.Repeat("0", 64)}
	everywhere := []string{"5 the events of leaves 5 to 6 are gone, and no event audit.log_reopened", "8 the events of leaves 8 to 11 are gone, and no event"}
	denied := func(e *event.Event) { e.Outcome, e.Reason = event.Denied, "PERMISSION_DENIED" }
	foreign := func(e *event.Event) { e.Source = "identity" }
	for name, c := range map[string]struct {
		origin string
		at     int
		told   [][]byte
		want   []string
	}{
		"told":                        {two, 12, [][]byte{reopening(t, 12, two, all)}, nil},
		"told by its hash":            {two, 12, [][]byte{reopening(t, 12, two, sum)}, nil},
		"told by another hash":        {two, 12, [][]byte{reopening(t, 12, two, another)}, everywhere},
		"told before":                 {three, 12, [][]byte{reopening(t, 12, two, all), reopening(t, 13, three, nil)}, nil},
		"one after the other":         {three, 12, [][]byte{reopening(t, 12, two, some), reopening(t, 13, three, rest)}, nil},
		"told in part":                {two, 12, [][]byte{reopening(t, 12, two, some)}, everywhere[:1]},
		"not told":                    {two, 12, [][]byte{reopening(t, 12, two, nil)}, everywhere},
		"no event":                    {two, 12, nil, everywhere},
		"never reopened":              {one, 12, nil, everywhere},
		"told of the first":           {one, 12, [][]byte{reopening(t, 12, one, all)}, everywhere},
		"told of one that is to come": {two, 12, [][]byte{reopening(t, 12, three, all)}, everywhere},
		"told of another log":         {two, 12, [][]byte{reopening(t, 12, "elsewhere/audit/2", all)}, everywhere},
		"told too early":              {two, 0, [][]byte{reopening(t, 0, two, all)}, everywhere},
		"denied":                      {two, 12, [][]byte{reopening(t, 12, two, all, denied)}, everywhere},
		"said by somebody else":       {two, 12, [][]byte{reopening(t, 12, two, all, foreign)}, everywhere},
		"told twice": {two, 12, [][]byte{reopening(t, 12, two, some), reopening(t, 13, two, rest)},
			[]string{"13 it is a second event audit.log_reopened of example.com/audit/2", "5 the events of leaves 5 to 6"}},
	} {
		stored, signed := lostLog(t, c.origin, c.at, c.told...)
		got := checked(t, stored, signed)
		var found []string
		for _, f := range got.Findings {
			found = append(found, fmt.Sprintf("%d %s", f.Index, f.Text))
		}
		if got.Lost != 6 || got.Gone != 0 || got.Matched != 20 || len(found) != len(c.want) {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(found[i], want) {
				t.Errorf("%s: %q, want %q", name, found[i], want)
			}
		}
	}
}

// Beside what was lost everything else is compared as ever.
func TestLostLeavesAndChanges(t *testing.T) {
	const two = "example.com/audit/2"
	all := map[string]any{"lost_events": 6, "lost_positions": []string{"6-7", "9-12"}}
	some := map[string]any{"lost_events": 4, "lost_positions": []string{"9-12"}}
	stored, signed := lostLog(t, two, 12, reopening(t, 12, two, all))
	other := copiedStore(stored)
	other[9].Leaf = auditlog.LostLeaf(10)
	if got := checked(t, other, signed); len(got.Findings) != 1 || got.Matched == 20 {
		t.Errorf("with another hash: %+v", got)
	}
	more := copiedStore(stored)
	more[13].Canonical = nil
	if got := checked(t, more, signed); len(got.Findings) != 1 || got.Findings[0].Index != 13 || got.Lost != 6 {
		t.Errorf("with one that was deleted since: %+v", got)
	}
	forged := copiedStore(stored)
	forged[12].Canonical = reopening(t, 12, two, some) // beside the hash of the true one
	if got := checked(t, forged, signed); len(got.Findings) != 3 {
		t.Errorf("with an edited event: %+v", got)
	}
}

// What an event says fits into it, however much is lost, and what is lost agrees with it.
func TestLossesOfManyRanges(t *testing.T) {
	for _, ranges := range []int{0, 1, 20, 1000, 1001, 100_000} {
		var lost []auditlog.Span
		for i := range int64(ranges) {
			lost = append(lost, auditlog.Span{First: 1e12 + 10*i, Last: 1e12 + 10*i + i%3})
		}
		changes, err := auditlog.LossChanges(lost)
		if err != nil {
			t.Fatal(err)
		}
		canonical := reopening(t, 1, "example.com/audit/2", nil, func(e *event.Event) { e.Changes = changes })
		e, err := event.Parse(canonical)
		if err != nil {
			t.Fatal(err)
		}
		l := auditlog.LossOf(e)
		if !l.Is(lost) {
			t.Errorf("of %d ranges the event says %.200s", ranges, canonical)
		}
		if ranges > 0 && (l.Is(lost[1:]) || l.Is(append(lost[:len(lost)-1:len(lost)-1], auditlog.Span{First: 5e12, Last: 5e12}))) {
			t.Errorf("of %d ranges others agree", ranges)
		}
	}
}
