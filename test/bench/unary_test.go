package bench_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// BenchmarkSingleIngest is how many events a second 16 callers hand over to Audit, each of them one
// event at a time and after its acknowledgement the next, beside one connection that inserts the same
// rows into the same tables, each event with a commit of its own, in interleaved rounds: what Audit would
// do if it did not commit together what waits at once, since its positions have the order of the
// commits. Bound: 1.5 of the raw commits. Beside it are also 16 connections that insert the same rows
// in whatever order, whose commits PostgreSQL groups itself.
func BenchmarkSingleIngest(b *testing.B) {
	const callers, each = 16, 150
	p := stopped(b)
	server, _ := pgtest.Server(b)
	kept, raw := trail(b, p, server, "singly"), trail(b, p, server, "singlyraw")
	client := auditv1.NewIngestServiceClient(serve(b, p, "audit", 8084, kept.serving, auditKey(b)))
	kept.served = true
	var conns [callers]*pgx.Conn
	var streams [callers]auditv1.IngestService_IngestClient
	for i := range callers {
		conns[i] = connect(b, raw.serving)
		var err error
		streams[i], err = client.Ingest(from(b.Context(), sources()[i%len(sources())]))
		check.NoError(b, err)
	}
	var position atomic.Int64
	var batch uint64
	var rates, ratios [3][]float64 // Audit's, those of one connection, of all
	for b.Loop() {
		for range 3 {
			var took [3]float64
			for side := range took {
				events, messages := somebodysChanges(b, callers, each)
				kept.settle(b, true)
				raw.settle(b, false)
				took[side] = timed(b, func() error {
					if side == 1 {
						return commitEach(b.Context(), conns[0], &position, slices.Concat(events...), slices.Concat(messages...))
					}
					return all(callers, func(i int) error {
						if side == 0 {
							return oneByOne(streams[i], batch, messages[i])
						}
						return commitEach(b.Context(), conns[i], &position, events[i], messages[i])
					})
				})
			}
			batch += each
			for side := range took {
				rates[side] = append(rates[side], callers*each/took[side])
				ratios[side] = append(ratios[side], took[side]/took[0])
			}
		}
	}
	if k, r := kept.count(b), raw.count(b); 2*k != r || k != len(ratios[0])*callers*each {
		b.Fatalf("%d events are kept and %d inserted", k, r)
	}
	b.ReportMetric(median(rates[0]), "events/s")
	b.ReportMetric(median(rates[1]), "commits/s")
	b.ReportMetric(median(rates[2]), "commits-by-16/s")
	b.ReportMetric(median(ratios[1]), "ratio")
	b.ReportMetric(1.5, "ratio-bound")
	b.ReportMetric(median(ratios[2]), "ratio-to-16")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// somebodysChanges are events of some callers, so many of each, and the messages that hand them over.
func somebodysChanges(b *testing.B, callers, each int) (events [][]event.Event, messages [][]*auditv1.SealedEvent) {
	b.Helper()
	events, messages = make([][]event.Event, callers), make([][]*auditv1.SealedEvent, callers)
	for i := range callers {
		for range each {
			e := somebodyChanged(sources()[i%len(sources())])
			events[i], messages[i] = append(events[i], e), append(messages[i], sealed(b, e))
		}
	}
	return events, messages
}

// all does something for each of n at the same time.
func all(n int, do func(i int) error) error {
	var group errgroup.Group
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}

// oneByOne hands over events on a stream that has had so many batches.
func oneByOne(stream auditv1.IngestService_IngestClient, batch uint64, messages []*auditv1.SealedEvent) error {
	for _, m := range messages {
		batch++
		if err := stream.Send(&auditv1.IngestRequest{Batch: batch, Events: []*auditv1.SealedEvent{m}}); err != nil {
			return err
		}
		if err := acknowledged(stream, batch); err != nil {
			return err
		}
	}
	return nil
}

// commitEach is the other side: each event, with its personal values, is durable before the next one.
func commitEach(ctx context.Context, conn *pgx.Conn, position *atomic.Int64, events []event.Event, messages []*auditv1.SealedEvent) error {
	for i, e := range events {
		at := position.Add(1)
		var batch pgx.Batch // one round trip and one transaction
		batch.Queue(`insert into audit.events (position, id, time, source, action, outcome, actor_id, organization_id, object_type,
			object_id, request_id, canonical) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			at, e.ID, e.Time, e.Source, e.Action, string(e.Outcome), e.Actor.ID, e.OrganizationID, e.ObjectType, e.ObjectID,
			e.RequestID, messages[i].GetCanonical())
		for _, v := range messages[i].GetPersonal() {
			batch.Queue("insert into audit.personal_values (position, field, salt, value) values ($1, $2, $3, $4)", at, v.GetField(), v.GetSalt(), v.GetValue())
		}
		if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
			return err
		}
	}
	return nil
}
