package api_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// whole reads a stream to its end, which is said: the ids of its events and the last cursor.
func whole(t *testing.T, stream tail) (ids []string, cursor string) {
	t.Helper()
	for ended := false; ; {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) && ended {
			return ids, cursor
		}
		check.NoError(t, err)
		if ended {
			t.Fatalf("after the end comes %v", m)
		}
		if ended, cursor = m.GetEnd(), m.GetCursor(); m.GetEvent() != nil {
			ids = append(ids, m.GetEvent().GetId())
		}
	}
}

// What is stored is told to its end, and from there the rest later: nothing is left out or told
// twice.
func TestWhatIsStoredEnds(t *testing.T) {
	t.Parallel()
	s := newService(t)
	start := begin(t, s.auditor(), &auditv1.TailEventsRequest{})
	s.ingest(t, "identity", message(t))
	first, cursor := next(t, start)
	trailtest.Fill(t, s.store, 1200)
	trailtest.Fill(t, s.store, 5, func(e *event.Event) { e.Actor.ID = "other" })
	got, end := whole(t, begin(t, s.auditor(), &auditv1.TailEventsRequest{Cursor: cursor, StoredOnly: true}))
	if len(got) != 1205 || got[0] == first {
		t.Errorf("%d events after the first", len(got))
	}
	some, _ := whole(t, begin(t, s.auditor(), &auditv1.TailEventsRequest{Cursor: cursor, StoredOnly: true, ActorId: "other"}))
	if len(some) != 5 || some[0] != got[1200] {
		t.Errorf("%d events of another actor", len(some))
	}
	if none, _ := whole(t, begin(t, s.auditor(), &auditv1.TailEventsRequest{Cursor: end, StoredOnly: true})); len(none) > 0 {
		t.Errorf("after the end come %v", none)
	}
	if all, _ := whole(t, begin(t, s.auditor(), &auditv1.TailEventsRequest{StartTime: timestamppb.New(time.Unix(0, 0)), StoredOnly: true})); len(all) != 1206 || all[0] != first {
		t.Errorf("%d events from the beginning, want 1206 from %s", len(all), first)
	}
	m := message(t)
	s.ingest(t, "identity", m)
	if more, _ := whole(t, begin(t, s.auditor(), &auditv1.TailEventsRequest{Cursor: end, StoredOnly: true})); len(more) != 1 || more[0] != idOf(t, m) {
		t.Errorf("later come %v", more)
	}
}
