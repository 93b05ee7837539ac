package api_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

type tail = grpc.ServerStreamingClient[auditv1.TailEventsResponse]

func upper(s string) string { return strings.ToUpper(s) }

// begin opens a tail and waits for its first message, which says where it begins.
func begin(t *testing.T, c auditv1.AuditServiceClient, r *auditv1.TailEventsRequest) tail {
	t.Helper()
	stream, err := c.TailEvents(t.Context(), r)
	check.NoError(t, err)
	first, err := stream.Recv()
	check.NoError(t, err)
	if first.GetEvent() != nil || first.GetCursor() == "" {
		t.Fatalf("got %v, want the cursor where the tail begins", first)
	}
	return stream
}

// next returns the next event, and its cursor; signs of life are passed over.
func next(t *testing.T, stream tail) (id, cursor string) {
	t.Helper()
	for {
		m, err := stream.Recv()
		check.NoError(t, err)
		if m.GetEvent() != nil {
			return m.GetEvent().GetId(), m.GetCursor()
		}
	}
}

func TestTailSendsWhatIsStoredAndResumes(t *testing.T) {
	t.Parallel()
	s := newService(t)
	auditor := s.auditor()
	s.ingest(t, "identity", message(t))
	stream := begin(t, auditor, &auditv1.TailEventsRequest{})
	var want, cursors []string
	for range 5 {
		m := message(t)
		s.ingest(t, "identity", m)
		id, cursor := next(t, stream)
		want, cursors = append(want, idOf(t, m)), append(cursors, cursor)
		if id != idOf(t, m) {
			t.Fatalf("got %s, want %s", id, idOf(t, m))
		}
	}
	for i, cursor := range cursors[:4] {
		resumed := begin(t, auditor, &auditv1.TailEventsRequest{Cursor: cursor})
		for _, id := range want[i+1:] {
			if got, _ := next(t, resumed); got != id {
				t.Errorf("after %d: got %s, want %s", i, got, id)
			}
		}
	}
}

// A tail that begins far behind reads what is stored, then follows: nothing is lost or sent twice where both meet.
func TestTailCatchesUpWhileOthersWrite(t *testing.T) {
	t.Parallel()
	s := newService(t)
	auditor := s.auditor()
	start := begin(t, auditor, &auditv1.TailEventsRequest{ActorId: "actor"})
	s.ingest(t, "identity", message(t))
	first, cursor := next(t, start)
	for range 6 {
		trailtest.Fill(t, s.store, 300)
		trailtest.Fill(t, s.store, 10, func(e *event.Event) { e.Actor.ID = "other" })
	}
	stored := make(chan struct{})
	go func() {
		defer close(stored)
		for range 10 {
			trailtest.Fill(t, s.store, 20)
			s.feed.Wake()
		}
	}()
	stream := begin(t, auditor, &auditv1.TailEventsRequest{ActorId: "actor", Cursor: cursor})
	got := []string{first}
	for len(got) < 1+6*300+10*20 {
		id, _ := next(t, stream)
		got = append(got, id)
	}
	<-stored
	all, err := s.pool.Query(t.Context(), "select id::text from audit.events where actor_id = 'actor' order by position")
	check.NoError(t, err)
	var want []string
	for all.Next() {
		var id string
		check.NoError(t, all.Scan(&id))
		want = append(want, id)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d events, want the %d that are stored", len(got), len(want))
	}
}

func TestTailFiltersAndShowsSignsOfLife(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := uuid.NewString()
	stream := begin(t, s.as(ada), &auditv1.TailEventsRequest{ActorId: ada})
	mine := message(t, func(e *event.Event) { e.Actor.ID = ada })
	s.ingest(t, "identity", message(t), mine, message(t))
	if id, _ := next(t, stream); id != idOf(t, mine) {
		t.Errorf("got %s", id)
	}
	m, err := stream.Recv() // the cursor of a sign of life is behind what did not match
	check.NoError(t, err)
	if m.GetEvent() != nil {
		t.Fatalf("got %v", m)
	}
	resumed := begin(t, s.as(ada), &auditv1.TailEventsRequest{ActorId: ada, Cursor: m.GetCursor()})
	later := message(t, func(e *event.Event) { e.Actor.ID = ada })
	s.ingest(t, "identity", later)
	if id, _ := next(t, resumed); id != idOf(t, later) {
		t.Errorf("got %s", id)
	}
}

func TestTailEndsWithItsToken(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := uuid.NewString()
	claims := s.Tokens.Claims(ada)
	claims.ExpiresAt = time.Now().Add(2 * time.Second).Truncate(time.Second)
	stream := begin(t, auditv1.NewAuditServiceClient(s.AsUser(claims)), &auditv1.TailEventsRequest{ActorId: ada})
	var err error
	for err == nil {
		_, err = stream.Recv()
	}
	grpctest.WantCode(t, err, codes.Unauthenticated)
}

func TestBadTails(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for name, cursor := range map[string]string{"no cursor": "x", "ahead": "AQAAAAAAAAPo", "negative": "Af__________", "padded": "AQAAAAAAAAAA="} {
		stream, err := s.auditor().TailEvents(t.Context(), &auditv1.TailEventsRequest{Cursor: cursor})
		check.NoError(t, err)
		if _, err = stream.Recv(); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			grpctest.WantCode(t, err, codes.InvalidArgument)
		}
	}
	stream, err := s.as(uuid.NewString()).TailEvents(t.Context(), &auditv1.TailEventsRequest{})
	check.NoError(t, err)
	if m, err := stream.Recv(); err == nil {
		t.Errorf("a stranger tails everything: %v", m)
	}
}

// A client that leaves frees its place.
func TestTailEndsWithItsClient(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := s.auditor().TailEvents(ctx, &auditv1.TailEventsRequest{})
	check.NoError(t, err)
	_, err = stream.Recv()
	check.NoError(t, err)
	cancel()
	check.NoError(t, s.Drain(t.Context()))
}
