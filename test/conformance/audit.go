package conformance

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// Audit is a running AuditService.
type Audit struct {
	Server *grpctest.Server
	Grants *grpctest.Grants // what Authz says to it
	// Add stores an event of an actor and returns its id.
	Add func(t testing.TB, actorID string) string
}

// Run runs the cases, each with actors of its own.
func (a Audit) Run(t *testing.T) {
	for name, run := range map[string]func(t *testing.T){
		"pages":       a.pages,
		"page tokens": a.pageTokens,
		"tail":        a.tail,
		"cursors":     a.cursors,
	} {
		t.Run(name, run)
	}
}

// auditor may read everything.
func (a Audit) auditor() auditv1.AuditServiceClient {
	id := uuid.NewString()
	a.Grants.Allow(id, "can_read_audit", "platform:gatehouse")
	return auditv1.NewAuditServiceClient(a.Server.AsUser(a.Server.Tokens.Claims(id)))
}

// pages: newest first, of the actor alone.
func (a Audit) pages(t *testing.T) {
	actor, auditor := uuid.NewString(), a.auditor()
	made := []string{a.Add(t, actor), a.Add(t, actor), a.Add(t, actor)}
	a.Add(t, uuid.NewString())
	list := &auditv1.ListEventsRequest{ActorId: actor, PageSize: 2}
	first, err := auditor.ListEvents(t.Context(), list)
	check.NoError(t, err)
	list.PageToken = first.GetNextPageToken()
	second, err := auditor.ListEvents(t.Context(), list)
	check.NoError(t, err)
	if len(first.GetEvents()) != 2 || len(second.GetEvents()) != 1 || list.GetPageToken() == "" || second.GetNextPageToken() != "" {
		t.Fatalf("pages of %d and %d, then %q", len(first.GetEvents()), len(second.GetEvents()), second.GetNextPageToken())
	}
	for i, e := range append(first.GetEvents(), second.GetEvents()...) {
		if e.GetId() != made[2-i] || e.GetActor().GetId() != actor {
			t.Errorf("event %d is %s of %s, want %s of %s", i, e.GetId(), e.GetActor().GetId(), made[2-i], actor)
		}
	}
}

func (a Audit) pageTokens(t *testing.T) {
	_, err := a.auditor().ListEvents(t.Context(), &auditv1.ListEventsRequest{PageToken: "x"})
	refused(t, err, apierr.InvalidArgument, "INVALID_ARGUMENT", "page_token page_token")
}

// tail begins with a cursor, and goes on after the cursor that it is given.
func (a Audit) tail(t *testing.T) {
	actor := uuid.NewString()
	a.Add(t, actor)
	begin, next := a.follow(t, &auditv1.TailEventsRequest{ActorId: actor})
	if begin.GetEvent() != nil || begin.GetCursor() == "" {
		t.Fatalf("it begins with %v", begin)
	}
	made := []string{a.Add(t, actor), a.Add(t, actor)}
	first, second := next(), next()
	if first.GetEvent().GetId() != made[0] || second.GetEvent().GetId() != made[1] || first.GetCursor() == second.GetCursor() {
		t.Errorf("tailed %v and %v, want %v", first, second, made)
	}
	_, again := a.follow(t, &auditv1.TailEventsRequest{ActorId: actor, Cursor: first.GetCursor()})
	if got := again().GetEvent().GetId(); got != made[1] {
		t.Errorf("after the first cursor comes %s, want %s", got, made[1])
	}
}

func (a Audit) cursors(t *testing.T) {
	stream, err := a.auditor().TailEvents(t.Context(), &auditv1.TailEventsRequest{Cursor: "x"})
	check.NoError(t, err)
	_, err = stream.Recv()
	refused(t, err, apierr.InvalidArgument, "INVALID_ARGUMENT", "cursor cursor")
}

// follow opens a tail; next passes over signs of life.
func (a Audit) follow(t *testing.T, r *auditv1.TailEventsRequest) (begin *auditv1.TailEventsResponse, next func() *auditv1.TailEventsResponse) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := a.auditor().TailEvents(ctx, r)
	check.NoError(t, err)
	begin, err = stream.Recv()
	check.NoError(t, err)
	return begin, func() *auditv1.TailEventsResponse {
		t.Helper()
		for {
			m, err := stream.Recv()
			check.NoError(t, err)
			if m.GetEvent() != nil {
				return m
			}
		}
	}
}
