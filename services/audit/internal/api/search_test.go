package api_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// A search finds, by words of names, what whoever asks may read, and nothing else (R93).
func TestSearch(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada, organization := uuid.NewString(), uuid.NewString()
	name := trailtest.Named("user.email", "ada@example.com", "user.display_name", "Ada Lovelace")
	mine := message(t, name, func(e *event.Event) { e.ObjectID, e.OrganizationID = ada, organization })
	other := message(t, name, func(e *event.Event) { e.Time = e.Time.Add(time.Second) })
	s.ingest(t, "identity", mine, message(t), other)
	found := func(c auditv1.AuditServiceClient, r *auditv1.ListEventsRequest, want ...*auditv1.SealedEvent) {
		t.Helper()
		var expected []string
		for _, m := range want {
			expected = append(expected, idOf(t, m))
		}
		list, err := c.ListEvents(t.Context(), r)
		if err != nil || !slices.Equal(ids(list.GetEvents()), expected) {
			t.Errorf("%v: got %v, %v", r, list.GetEvents(), err)
		}
	}
	for range 2 {
		found(s.auditor(), &auditv1.ListEventsRequest{Search: "LOVE ada@example"}, other, mine)
		found(s.auditor(), &auditv1.ListEventsRequest{Search: "ada", OrganizationId: organization}, mine)
		found(s.auditor(), &auditv1.ListEventsRequest{Search: "ada", Action: "user.deleted"})
		found(s.as(ada), &auditv1.ListEventsRequest{Search: "ada", ObjectId: ada}, mine)
		found(s.as(ada), &auditv1.ListEventsRequest{Search: "eve", ObjectId: ada})
		check.NoError(t, s.store.BringNames(t.Context()))
	}
	page, err := s.auditor().ListEvents(t.Context(), &auditv1.ListEventsRequest{Search: "ada", PageSize: 1})
	check.NoError(t, err)
	found(s.auditor(), &auditv1.ListEventsRequest{Search: "ada", PageSize: 1, PageToken: page.GetNextPageToken()}, mine)
	_, err = s.auditor().ListEvents(t.Context(), &auditv1.ListEventsRequest{Search: "love", PageToken: page.GetNextPageToken()})
	grpctest.WantCode(t, err, codes.InvalidArgument) // another list
	_, err = s.auditor().ListEvents(t.Context(), &auditv1.ListEventsRequest{Search: "..."})
	grpctest.WantCode(t, err, codes.InvalidArgument)
	_, err = s.as(ada).ListEvents(t.Context(), &auditv1.ListEventsRequest{Search: "ada"})
	grpctest.WantCode(t, err, codes.PermissionDenied)
	stream := begin(t, s.auditor(), &auditv1.TailEventsRequest{Search: "lovel", StartTime: timestamppb.New(trailtest.Start())})
	for _, want := range []*auditv1.SealedEvent{mine, other} {
		if id, _ := next(t, stream); id != idOf(t, want) {
			t.Errorf("the tail has %s, want %s", id, idOf(t, want))
		}
	}
}

// A tail begins with the first event that was stored of the time or later, and goes on by its
// cursors; what happened before is never sent, however late it arrives.
func TestTailFromATime(t *testing.T) {
	t.Parallel()
	s := newService(t)
	begun := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Hour)
	at := func(later time.Duration) *auditv1.SealedEvent {
		return message(t, func(e *event.Event) { e.Time = begun.Add(later) })
	}
	trailtest.Fill(t, s.store, 1500, func(e *event.Event) { e.Time = begun.Add(-time.Minute) })
	check.NoError(t, s.store.BringNames(t.Context()))
	first, second, third := at(2*time.Second), at(time.Second), at(3*time.Second)
	s.ingest(t, "identity", at(-time.Second), first, at(-time.Second), second)
	r := &auditv1.TailEventsRequest{StartTime: timestamppb.New(begun)}
	stream := begin(t, s.auditor(), r)
	var cursor string
	for _, want := range []*auditv1.SealedEvent{first, second} {
		var id string
		if id, cursor = next(t, stream); id != idOf(t, want) {
			t.Fatalf("got %s, want %s", id, idOf(t, want))
		}
	}
	s.ingest(t, "identity", at(-time.Second), third)
	r.Cursor = cursor
	for _, stream := range []tail{stream, begin(t, s.auditor(), r)} {
		if id, _ := next(t, stream); id != idOf(t, third) {
			t.Errorf("got %s, want %s", id, idOf(t, third))
		}
	}
}
