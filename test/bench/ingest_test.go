package bench_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// BenchmarkIngest is the time until Audit, as a process of its own, has acknowledged 12,000 events after their commits, which the relays
// of three services send at the same time as they do it, in batches of 250 and at most four ahead of the acknowledgements; beside one raw
// COPY of the same rows, from memory and in PostgreSQL's binary form, into the same tables in another database of the same server, in
// interleaved rounds. Bound: ratio 0.5 of COPY's rows a second.
func BenchmarkIngest(b *testing.B) {
	p := stopped(b)
	server, _ := pgtest.Server(b)
	kept, raw := trail(b, p, server, "kept"), trail(b, p, server, "raw")
	sources := []string{"identity", "auth", "authz"}
	const each = 4000
	rows := float64(each * len(sources))
	client := auditv1.NewIngestServiceClient(serve(b, p, "audit", 8084, kept.serving))
	var ingests, copies, ratios []float64
	for b.Loop() {
		for range 3 {
			var batches [][]*auditv1.IngestRequest
			for _, source := range sources {
				batches = append(batches, handedOver(b, source, each))
			}
			ingest := timed(b, func() error {
				var group errgroup.Group
				for i, source := range sources {
					group.Go(func() error { return handOver(b.Context(), client, source, batches[i]) })
				}
				return group.Wait()
			})
			events, personal := kept.fresh(b)
			raw.settle(b)
			copied := timed(b, func() error { return raw.copyIn(b.Context(), events, personal) })
			kept.settle(b)
			ingests, copies, ratios = append(ingests, rows/ingest), append(copies, rows/copied), append(ratios, copied/ingest)
		}
	}
	if k, r := kept.count(b), raw.count(b); k != r || k != len(ratios)*int(rows) {
		b.Fatalf("%d events are kept and %d copied", k, r)
	}
	b.ReportMetric(median(ingests), "ingest-rows/s")
	b.ReportMetric(median(copies), "copy-rows/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(0.5, "ratio-bound")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// trailDatabase is a migrated database of Audit.
type trailDatabase struct {
	serving config.Secret
	conn    *pgx.Conn // of the superuser
	last    int64     // position of the newest event that was taken out
}

func trail(b *testing.B, p *platform.Platform, server *pgserver.Server, name string) *trailDatabase {
	b.Helper()
	owner, secret := freshDatabase(b, server, name, "audit_owner", "audit"), config.NewSecret("bench")
	check.NoError(b, database.EnsureServingRole(b.Context(), server.SuperURL(name), "audit", secret, "audit", "audit_owner"))
	migrate(b, p, "audit", owner)
	return &trailDatabase{serving: server.URL("audit", secret, name), conn: connect(b, server.SuperURL(name))}
}

// fresh returns the rows that are new since the last call, as PostgreSQL would copy them out.
func (t *trailDatabase) fresh(b *testing.B) (events, personal []byte) {
	b.Helper()
	for table, into := range map[string]*[]byte{"events": &events, "personal_values": &personal} {
		var out bytes.Buffer
		_, err := t.conn.PgConn().CopyTo(b.Context(), &out,
			fmt.Sprintf("copy (select * from audit.%s where position > %d order by position) to stdout (format binary)", table, t.last))
		check.NoError(b, err)
		*into = out.Bytes()
	}
	check.NoError(b, t.conn.QueryRow(b.Context(), "select max(position) from audit.events").Scan(&t.last))
	return events, personal
}

// settle ends what the last round left to do for the server, so that no round pays for another one's.
func (t *trailDatabase) settle(b *testing.B) {
	b.Helper()
	_, err := t.conn.Exec(b.Context(), "checkpoint")
	check.NoError(b, err)
}

// copyIn is the other side: one transaction, as durable as Audit's.
func (t *trailDatabase) copyIn(ctx context.Context, events, personal []byte) error {
	return pgx.BeginFunc(ctx, t.conn, func(tx pgx.Tx) error {
		if _, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(events), "copy audit.events from stdin (format binary)"); err != nil {
			return err
		}
		_, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(personal), "copy audit.personal_values from stdin (format binary)")
		return err
	})
}

func (t *trailDatabase) count(b *testing.B) (n int) {
	b.Helper()
	check.NoError(b, t.conn.QueryRow(b.Context(), "select count(*) from audit.events").Scan(&n))
	return n
}

// handedOver makes n events of a program, every fourth with a personal value, and the requests that carry them.
func handedOver(b *testing.B, source string, n int) (requests []*auditv1.IngestRequest) {
	b.Helper()
	for i := range n {
		e := event.Event{
			ID: uuid.Must(uuid.NewV7()).String(), Time: time.Now(), Source: source, Caller: "gateway", Action: "user.updated",
			Method: "gatehouse.identity.v1.UserService/UpdateUser", Outcome: event.Success, Count: 1,
			Actor:          event.Actor{Type: event.User, ID: uuid.NewString(), SessionID: uuid.NewString(), ClientID: "gatehouse"},
			OrganizationID: uuid.NewString(), ObjectType: "user", ObjectID: uuid.NewString(), RequestID: uuid.NewString(),
			Changes: []event.Change{{Field: "user.locale", Value: json.RawMessage(`"de"`)}},
		}
		if i%4 == 0 {
			e.Changes = append(e.Changes, event.Change{Field: "user.display_name", Value: json.RawMessage(`"Ada"`), Personal: true})
		}
		sealed, err := e.Seal(rand.Reader)
		check.NoError(b, err)
		if i%250 == 0 {
			requests = append(requests, &auditv1.IngestRequest{Batch: uint64(i/250) + 1})
		}
		message := &auditv1.SealedEvent{Canonical: sealed.Canonical}
		for _, v := range sealed.Personal {
			message.Personal = append(message.Personal, &auditv1.PersonalValue{Field: v.Field, Salt: v.Salt, Value: v.Value})
		}
		last := requests[len(requests)-1]
		last.Events = append(last.Events, message)
	}
	return requests
}

// handOver sends as a relay does, at most four batches ahead of the acknowledgements.
func handOver(ctx context.Context, client auditv1.IngestServiceClient, source string, requests []*auditv1.IngestRequest) error {
	const ahead = 4
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, request.CallerHeader, grpctest.SPIFFE(source)))
	defer cancel()
	stream, err := client.Ingest(ctx)
	if err != nil {
		return err
	}
	for i := range len(requests) + ahead {
		if i < len(requests) {
			if err := stream.Send(requests[i]); err != nil {
				return err
			}
		}
		if i < ahead {
			continue
		}
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		if answer.GetBatch() != requests[i-ahead].GetBatch() || len(answer.GetRejected()) > 0 {
			return fmt.Errorf("batch %d is answered with %v", requests[i-ahead].GetBatch(), answer)
		}
	}
	return nil
}

// timed returns how many seconds do took.
func timed(b *testing.B, do func() error) float64 {
	b.Helper()
	began := time.Now()
	check.NoError(b, do())
	return time.Since(began).Seconds()
}
