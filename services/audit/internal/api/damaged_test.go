package api_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// R69: one event whose bytes were changed by hand keeps nobody from the page, nor from a tail; it
// is marked, and told to whom its columns admit.
func TestDamagedEventsAreMarked(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := uuid.NewString()
	one, two := message(t, func(e *event.Event) { e.Actor.ID = ada }), message(t)
	s.ingest(t, "identity", one, two)
	_, err := s.owner.Exec(t.Context(), "update audit.events set canonical = '{' where position = 1")
	check.NoError(t, err)
	page, err := s.auditor().ListEvents(t.Context(), &auditv1.ListEventsRequest{})
	check.NoError(t, err)
	if got := page.GetEvents(); len(got) != 2 || got[0].GetDamaged() || !got[1].GetDamaged() || got[1].GetId() != idOf(t, one) || got[1].GetActor().GetId() != ada {
		t.Errorf("got %v", got)
	}
	own, err := s.as(ada).ListEvents(t.Context(), &auditv1.ListEventsRequest{ActorId: ada})
	if err != nil || len(own.GetEvents()) != 1 || !own.GetEvents()[0].GetDamaged() || own.GetEvents()[0].GetMethod() != "" {
		t.Errorf("of its actor: %v, %v", own, err)
	}
	stream, err := s.auditor().TailEvents(t.Context(), &auditv1.TailEventsRequest{StartTime: timestamppb.New(time.Unix(0, 0)), StoredOnly: true})
	check.NoError(t, err)
	var damaged []bool
	for {
		m, err := stream.Recv()
		check.NoError(t, err)
		if m.GetEnd() {
			break
		}
		if m.GetEvent() != nil {
			damaged = append(damaged, m.GetEvent().GetDamaged())
		}
	}
	if len(damaged) != 2 || !damaged[0] || damaged[1] {
		t.Errorf("the tail has %v", damaged)
	}
}
