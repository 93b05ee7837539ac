package postgres_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/api"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// durable makes a migrated database on a server with settings as in production, and a pool on it of the role that serves.
func durable(b *testing.B, server *pgserver.Server, name string) *pgxpool.Pool {
	b.Helper()
	ctx, secret := b.Context(), config.NewSecret("bench")
	if err := database.EnsureDatabase(ctx, server.SuperURL("postgres"), name); err != nil {
		b.Fatal(err)
	}
	if err := database.EnsureRole(ctx, server.SuperURL(name), "audit_owner", secret, migrations.Schema); err != nil {
		b.Fatal(err)
	}
	if err := database.EnsureServingRole(ctx, server.SuperURL(name), "audit", secret, migrations.Schema, "audit_owner"); err != nil {
		b.Fatal(err)
	}
	owner := pg.Config{URL: server.URL("audit_owner", secret, name)}
	if err := pg.Migrate(ctx, owner, migrations.Schema, migrations.Files, slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	pool, err := pg.Open(context.Background(), pg.Config{URL: server.URL("audit", secret, name)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

// ingested is how many events one side of a round stores.
const ingested = 10_000

// BenchmarkIngest is the time to hand 10,000 events over by Ingest, in batches as relays send them, until the last is acknowledged after
// its commit, beside one raw COPY of the same rows into the same table with the same indexes, in interleaved rounds. Bound: at least 0.5
// of COPY's rows a second.
func BenchmarkIngest(b *testing.B) {
	server, _ := pgtest.Server(b)
	raw, kept := durable(b, server, "raw"), durable(b, server, "kept")
	client := ingestClient(b, kept)
	var copies, ingests []time.Duration
	next := int64(1)
	for b.Loop() {
		for range 3 {
			entries, requests := handedOver(b)
			copies = append(copies, timed(b, func(ctx context.Context) error { return copyRaw(ctx, raw, next, entries) }))
			ingests = append(ingests, timed(b, func(ctx context.Context) error { return handOver(ctx, client, requests) }))
			next += ingested
		}
	}
	c, i := median(copies), median(ingests)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ingested/c.Seconds(), "copy-rows/s")
	b.ReportMetric(ingested/i.Seconds(), "ingest-rows/s")
	b.ReportMetric(c.Seconds()/i.Seconds(), "of-copy")
}

func ingestClient(b *testing.B, pool *pgxpool.Pool) auditv1.IngestServiceClient {
	b.Helper()
	writer := trail.NewWriter(postgres.NewEvents(pool), func([]trail.Verdict) {})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { writer.Run(ctx) })
	b.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	s := grpctest.New(b, grpctest.Config{Program: "audit", Registrations: []grpcserver.Registration{
		{Desc: &auditv1.IngestService_ServiceDesc, Impl: api.NewIngestService(writer, slog.New(slog.DiscardHandler))},
	}})
	return auditv1.NewIngestServiceClient(s.As("identity"))
}

// handedOver makes events, and the requests that carry them.
func handedOver(b *testing.B) ([]trail.Entry, []*auditv1.IngestRequest) {
	b.Helper()
	const size = 250
	entries := make([]trail.Entry, ingested)
	var requests []*auditv1.IngestRequest
	for i := range entries {
		entries[i] = trailtest.Entry(b, trailtest.Event(func(e *event.Event) {
			e.Actor.ID, e.ObjectID, e.RequestID = uuid.NewString(), uuid.NewString(), uuid.NewString()
			e.Time = time.Now()
		}))
		if i%size == 0 {
			requests = append(requests, &auditv1.IngestRequest{Batch: uint64(i/size) + 1})
		}
		r := requests[len(requests)-1]
		r.Events = append(r.Events, &auditv1.SealedEvent{Canonical: entries[i].Sealed.Canonical})
	}
	return entries, requests
}

// handOver sends as a relay does, at most 4 batches ahead of the acknowledgements.
func handOver(ctx context.Context, client auditv1.IngestServiceClient, requests []*auditv1.IngestRequest) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.Ingest(ctx)
	if err != nil {
		return err
	}
	for i := range len(requests) + 4 {
		if i < len(requests) {
			if err := stream.Send(requests[i]); err != nil {
				return err
			}
		}
		if i >= 4 {
			r, err := stream.Recv()
			if err != nil || len(r.GetRejected()) > 0 {
				return fmt.Errorf("batch %d: %v, %w", i-4, r, err)
			}
		}
	}
	return nil
}

// copyRaw is the other side: one COPY of the rows.
func copyRaw(ctx context.Context, pool *pgxpool.Pool, position int64, entries []trail.Entry) error {
	columns := []string{
		"position", "id", "time", "source", "action", "outcome", "actor_id", "organization_id", "object_type", "object_id", "request_id", "canonical",
	}
	rows := make([][]any, len(entries))
	for i, e := range entries {
		rows[i] = []any{
			position + int64(i), uuid.MustParse(e.Event.ID), e.Event.Time, e.Event.Source, e.Event.Action, string(e.Event.Outcome), e.Event.Actor.ID,
			uuid.MustParse(e.Event.OrganizationID), e.Event.ObjectType, e.Event.ObjectID, e.Event.RequestID, e.Sealed.Canonical,
		}
	}
	_, err := pool.CopyFrom(ctx, pgx.Identifier{"audit", "events"}, columns, pgx.CopyFromRows(rows))
	return err
}

// BenchmarkList is the time of a page of 50 events from 1,000,000 rows beside that from 10,000, in interleaved rounds. Bound: 1.5.
func BenchmarkList(b *testing.B) {
	server, _ := pgtest.Server(b)
	few, many := postgres.NewEvents(filled(b, server, "few", 10_000)), postgres.NewEvents(filled(b, server, "many", 1_000_000))
	at := trailtest.Start().Add(time.Minute)
	for name, f := range map[string]trail.Filter{
		"all":          {},
		"until":        {Until: at},
		"actor":        {ActorID: "actor-7"},
		"object":       {ObjectType: "user", ObjectID: "object-7"},
		"organization": {OrganizationID: organization(7)},
		"action":       {Action: "user.deleted"},
		"denied":       {Outcome: event.Denied},
		"request":      {RequestID: "request-7"},
	} {
		b.Run(name, func(b *testing.B) {
			q := trail.Query{Filter: f, Limit: 50}
			page := func(s *postgres.Events) func(context.Context) error {
				return func(ctx context.Context) error {
					events, err := s.List(ctx, q)
					if err == nil && len(events) == 0 {
						return fmt.Errorf("no event matches")
					}
					return err
				}
			}
			for range 10 { // warm
				timed(b, page(few))
				timed(b, page(many))
			}
			var fromFew, fromMany []time.Duration
			for b.Loop() {
				for range 20 {
					fromFew = append(fromFew, timed(b, page(few)))
					fromMany = append(fromMany, timed(b, page(many)))
				}
			}
			s, l := median(fromFew), median(fromMany)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(s.Microseconds()), "us-of-10k")
			b.ReportMetric(float64(l.Microseconds()), "us-of-1M")
			b.ReportMetric(l.Seconds()/s.Seconds(), "ratio")
		})
	}
}

// filled makes a database of n events, ten a second, of 100 actors, objects and organizations.
func filled(b *testing.B, server *pgserver.Server, name string, n int) *pgxpool.Pool {
	b.Helper()
	pool := durable(b, server, name)
	if err := fill(b.Context(), pool, n, 100); err != nil {
		b.Fatal(err)
	}
	conn, err := pgx.Connect(b.Context(), server.SuperURL(name).Reveal())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(b.Context()) }()
	if _, err := conn.Exec(b.Context(), "vacuum analyze audit.events"); err != nil {
		b.Fatal(err)
	}
	return pool
}

func organization(i int) string { return fmt.Sprintf("11111111-2222-4333-8444-%012d", i) }

// fill stores n good events by SQL alone: each is a sealed event whose varying parts are replaced. One in 50 is denied, one in 100 is
// another action.
func fill(ctx context.Context, pool *pgxpool.Pool, n, kinds int) error {
	e := trailtest.Event(func(e *event.Event) {
		e.ID, e.OrganizationID = "00000000-0000-4000-8000-000000000000", organization(0)
		e.Actor.ID, e.ObjectID, e.RequestID = "actor-0", "object-0", "request-0"
	})
	template := func(change func(*event.Event)) (string, error) {
		changed := e
		change(&changed)
		sealed, err := changed.Seal(rand.Reader)
		return string(sealed.Canonical), err
	}
	plain, err := template(func(*event.Event) {})
	if err != nil {
		return err
	}
	denied, err := template(func(e *event.Event) { e.Outcome, e.Reason = event.Denied, "PERMISSION_DENIED" })
	if err != nil {
		return err
	}
	deleted, err := template(func(e *event.Event) { e.Action = "user.deleted" })
	if err != nil {
		return err
	}
	_, err = pool.Exec(ctx, `
		insert into audit.events (position, id, time, source, action, outcome, actor_id, organization_id, object_type, object_id, request_id, canonical)
		select n, id, t, 'identity', case when n % 100 = 1 then 'user.deleted' else 'user.updated' end,
			case when n % 50 = 0 then 'denied' else 'success' end,
			'actor-' || k, ('11111111-2222-4333-8444-' || lpad(k::text, 12, '0'))::uuid, 'user', 'object-' || k, 'request-' || n,
			convert_to(replace(replace(replace(replace(replace(replace(
				case when n % 50 = 0 then @denied when n % 100 = 1 then @deleted else @plain end,
				'00000000-0000-4000-8000-000000000000', id::text), @organization, '11111111-2222-4333-8444-' || lpad(k::text, 12, '0')),
				'actor-0', 'actor-' || k), 'object-0', 'object-' || k), 'request-0', 'request-' || n),
				@time, to_char(t at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), 'utf8')
		from generate_series(1, @n::bigint) n,
			lateral (select timestamptz '2031-01-01 00:00:00Z' + n * interval '100 ms' as t, n % @kinds as k, gen_random_uuid() as id) v`,
		pgx.StrictNamedArgs{
			"n": n, "kinds": kinds, "plain": plain, "denied": denied, "deleted": deleted, "organization": organization(0),
			"time": trailtest.Start().Format("2006-01-02T15:04:05.000000Z"),
		})
	return err
}

func timed(b *testing.B, do func(context.Context) error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := do(b.Context()); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func median(all []time.Duration) time.Duration {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}
