package api_test

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/api"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// heartbeat keeps the tests of tails short.
const heartbeat = 50 * time.Millisecond

// service is Audit in memory: real chain, real database as its serving role, and grants that the test gives.
type service struct {
	*grpctest.Server
	grants *grpctest.Grants
	pool   *pgxpool.Pool
	owner  *pgxpool.Pool // of the schema; erases
	store  *postgres.Events
	feed   *trail.Feed
}

func newService(t *testing.T, change ...func(*grpctest.Config)) service {
	t.Helper()
	return beating(t, heartbeat, change...)
}

// beating is newService whose tails show a sign of life that often.
func beating(t testing.TB, heartbeat time.Duration, change ...func(*grpctest.Config)) service {
	t.Helper()
	serving, owner := pgtest.Split(t, migrations.Schema, migrations.Files)
	pool := pgtest.Open(t, serving)
	owned := pgtest.Open(t, owner)
	s := service{grants: grpctest.NewGrants(), pool: pool, owner: owned, store: postgres.NewEvents(pool)}
	s.feed = trail.NewFeed(s.store)
	writer := trail.NewWriter(s.store, func([]trail.Verdict) { s.feed.Wake() })
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { writer.Run(ctx) })
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.feed.Woken():
				if err := s.feed.Read(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	audit := api.NewAuditService(trail.NewService(trail.Params{Lister: s.store, Reader: s.store, Feed: s.feed, Heartbeat: heartbeat}), s.store)
	c := grpctest.Config{
		Program: "audit", Permissions: s.grants,
		Registrations: []grpcserver.Registration{
			{Desc: &auditv1.IngestService_ServiceDesc, Impl: api.NewIngestService(writer, logging.New(logging.Config{Level: "error"}, t.Output()))},
			{Desc: &auditv1.AuditService_ServiceDesc, Impl: audit},
			{Desc: &auditv1.LogService_ServiceDesc, Impl: api.NewLogService(ledger.NewService(postgres.NewLog(pool).WithOutbox(outboxtest.New(t, pool, migrations.Schema)), newKeys(t)), s.grants)},
		},
	}
	for _, f := range change {
		f(&c)
	}
	s.Server = grpctest.New(t, c)
	return s
}

// as is the connection of a signed-in user.
func (s service) as(userID string) auditv1.AuditServiceClient {
	return auditv1.NewAuditServiceClient(s.AsUser(s.Tokens.Claims(userID)))
}

// auditor is a user who may read everything.
func (s service) auditor() auditv1.AuditServiceClient {
	return auditv1.NewAuditServiceClient(s.asAuditor())
}

func (s service) asAuditor() *grpc.ClientConn {
	id := uuid.NewString()
	s.grants.Allow(id, "can_read_audit", "platform:gatehouse")
	return s.AsUser(s.Tokens.Claims(id))
}

// message seals an event as a program does.
func message(t testing.TB, change ...func(*event.Event)) *auditv1.SealedEvent {
	t.Helper()
	sealed, err := trailtest.Event(change...).Seal(rand.Reader)
	check.NoError(t, err)
	m := &auditv1.SealedEvent{Canonical: sealed.Canonical}
	for _, p := range sealed.Personal {
		m.Personal = append(m.Personal, &auditv1.PersonalValue{Field: p.Field, Salt: p.Salt, Value: p.Value})
	}
	return m
}

// ingest hands one batch over on a stream of its own and returns what is rejected.
func (s service) ingest(t testing.TB, program string, events ...*auditv1.SealedEvent) []*auditv1.Rejection {
	t.Helper()
	stream, err := auditv1.NewIngestServiceClient(s.As(program)).Ingest(t.Context())
	check.NoError(t, err)
	check.NoError(t, stream.Send(&auditv1.IngestRequest{Batch: 1, Events: events}))
	check.NoError(t, stream.CloseSend())
	r, err := stream.Recv()
	check.NoError(t, err)
	if r.GetBatch() != 1 {
		t.Fatalf("batch %d is acknowledged", r.GetBatch())
	}
	return r.GetRejected()
}

// stored returns the ids in the trail, oldest first.
func (s service) stored(t *testing.T) (ids []string) {
	t.Helper()
	head, err := s.store.Head(t.Context())
	check.NoError(t, err)
	events, _, err := s.store.Range(t.Context(), trail.Filter{}, 0, head, 1000)
	check.NoError(t, err)
	for _, e := range events {
		ids = append(ids, e.Event.ID)
	}
	return ids
}

func idOf(t *testing.T, m *auditv1.SealedEvent) string {
	t.Helper()
	e, err := event.Parse(m.GetCanonical())
	check.NoError(t, err)
	return e.ID
}

// R67: a batch is acknowledged after its commit; what is known is acknowledged and not stored again.
func TestIngestStoresOnceAndAcknowledges(t *testing.T) {
	t.Parallel()
	s := newService(t)
	stream, err := auditv1.NewIngestServiceClient(s.As("identity")).Ingest(t.Context())
	check.NoError(t, err)
	var ids []string
	var all []*auditv1.SealedEvent
	for batch := uint64(1); batch <= 20; batch++ {
		var events []*auditv1.SealedEvent
		for range 3 {
			m := message(t)
			events, ids = append(events, m), append(ids, idOf(t, m))
		}
		all = append(all, events...)
		check.NoError(t, stream.Send(&auditv1.IngestRequest{Batch: batch, Events: events}))
	}
	for batch := uint64(1); batch <= 20; batch++ {
		r, err := stream.Recv()
		check.NoError(t, err)
		if r.GetBatch() != batch || len(r.GetRejected()) != 0 {
			t.Fatalf("got %v, want batch %d", r, batch)
		}
		if n := len(s.stored(t)); n < int(batch)*3 {
			t.Fatalf("batch %d is acknowledged and %d events are stored", batch, n)
		}
	}
	if rejected := s.ingest(t, "identity", all...); len(rejected) != 0 {
		t.Errorf("repeated events are rejected: %v", rejected)
	}
	if got := s.stored(t); !slices.Equal(got, ids) {
		t.Errorf("%d events are stored, want %d in their order", len(got), len(ids))
	}
}

// A program speaks for itself alone, whatever the event says, and only canonical bytes with their own personal values get in.
func TestIngestRejectsWhatWillNeverBeTrue(t *testing.T) {
	t.Parallel()
	s := newService(t)
	email := func(e *event.Event) {
		e.Changes = []event.Change{{Field: "email", Value: []byte(`"ada@example.com"`), Personal: true}}
	}
	good, taken, forged, missing, spelled := message(t, email), message(t), message(t, email), message(t, email), message(t)
	forged.Personal[0].Value = `"eve@example.com"`
	missing.Personal = nil
	spelled.Canonical = append([]byte(" "), spelled.GetCanonical()...)
	foreign := message(t, func(e *event.Event) { e.Source = "auth" })
	other := message(t, func(e *event.Event) { e.ID, e.Action = idOf(t, taken), "user.deleted" })
	unknown := message(t)
	unknown.Canonical = []byte(strings.Replace(string(unknown.GetCanonical()), `"count":1`, `"count":1,"extra":1`, 1))

	s.ingest(t, "identity", taken)
	rejected := s.ingest(t, "identity", good, forged, missing, spelled, foreign, other, unknown)
	got := map[int32]string{}
	for _, r := range rejected {
		got[r.GetIndex()] = r.GetReason()
	}
	want := map[int32]string{
		1: trail.ReasonInvalid, 2: trail.ReasonInvalid, 3: trail.ReasonInvalid, 4: trail.ReasonSource, 5: trail.ReasonConflict, 6: trail.ReasonInvalid,
	}
	for i := range int32(7) {
		if got[i] != want[i] {
			t.Errorf("event %d: got %q, want %q", i, got[i], want[i])
		}
	}
	if ids := s.stored(t); !slices.Equal(ids, []string{idOf(t, taken), idOf(t, good)}) {
		t.Errorf("stored are %v", ids)
	}
}

func TestIngestIsForProgramsAndInOrder(t *testing.T) {
	t.Parallel()
	s := newService(t)
	stream, err := auditv1.NewIngestServiceClient(s.AsUser(s.Tokens.Claims(uuid.NewString()))).Ingest(t.Context())
	check.NoError(t, err)
	if err := stream.Send(&auditv1.IngestRequest{Batch: 1, Events: []*auditv1.SealedEvent{
		message(t, func(e *event.Event) { e.Source = "gateway" }),
	}}); err == nil {
		_, _ = stream.Recv() // the gateway is a program too: it may speak for itself, and nothing else
	}
	stream, err = auditv1.NewIngestServiceClient(s.Dial()).Ingest(t.Context())
	check.NoError(t, err)
	_, err = stream.Recv()
	if code := status.Code(err); code != codes.Unauthenticated && code != codes.PermissionDenied {
		t.Errorf("without a calling program: %v", err)
	}
	stream, err = auditv1.NewIngestServiceClient(s.As("identity")).Ingest(t.Context())
	check.NoError(t, err)
	check.NoError(t, stream.Send(&auditv1.IngestRequest{Batch: 2, Events: []*auditv1.SealedEvent{message(t)}}))
	_, err = stream.Recv()
	grpctest.WantCode(t, err, codes.InvalidArgument)
	if n := len(s.stored(t)); n > 1 {
		t.Errorf("%d events are stored", n)
	}
}

// A batch that cannot be stored ends the stream: neither it nor what follows it is acknowledged.
func TestIngestWithoutADatabase(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.ingest(t, "identity", message(t))
	s.pool.Close()
	stream, err := auditv1.NewIngestServiceClient(s.As("identity")).Ingest(t.Context())
	check.NoError(t, err)
	for batch := uint64(1); batch <= 3; batch++ {
		if err := stream.Send(&auditv1.IngestRequest{Batch: batch, Events: []*auditv1.SealedEvent{message(t)}}); err != nil {
			break // ended already
		}
	}
	if r, err := stream.Recv(); err == nil {
		t.Fatalf("acknowledged: %v", r)
	}
}
