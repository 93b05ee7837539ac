package bench_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// sources are the programs that hand events over in these benchmarks.
func sources() []string { return []string{"identity", "auth", "authz"} }

// BenchmarkIngest is the time until Audit, as a process of its own, has acknowledged 24,000 events
// after their commits, which the relays of three services send at the same time as they do it, in
// batches of 250 and at most four ahead of the acknowledgements. Its log grows meanwhile, and the
// names are brought in. Beside it, in interleaved rounds: the same while the log cannot grow, and
// one raw COPY of the same rows, from memory and in PostgreSQL's binary form, into the same tables
// in another database of the same server. Bounds: 0.55 of COPY's rows a second, 0.9 of those
// without the log, and each event is covered by a checkpoint at most 1 s after its acknowledgement.
func BenchmarkIngest(b *testing.B) {
	const each = 8000
	p := stopped(b)
	server, _ := pgtest.Server(b)
	kept, raw := trail(b, p, server, "kept"), trail(b, p, server, "raw")
	client := auditv1.NewIngestServiceClient(serve(b, p, "audit", 8084, kept.serving, auditKey(b)))
	kept.served = true
	sequencer := connect(b, server.SuperURL("kept"))
	var with, without, copies, ofCopy, ofOff, lags []float64
	side := func(grows bool) (rows, ofCopy float64) {
		holdSequencer(b, sequencer, !grows)
		streams := handedOver(b, each)
		rows = float64(each * len(streams))
		kept.settle(b, grows)
		covered := kept.watch(b, grows)
		took := timed(b, func() error { return handAllOver(b.Context(), client, streams) })
		lags = append(lags, covered(streams)...)
		kept.settle(b, grows)
		events, personal := kept.fresh(b)
		raw.settle(b, false)
		copied := timed(b, func() error { return raw.copyIn(b.Context(), events, personal) })
		copies = append(copies, rows/copied)
		return rows / took, copied / took
	}
	for b.Loop() {
		for round := range 2 {
			var rates [2]float64 // without, with
			for i := range rates {
				grows := (i+round)%2 == 1 // who is first changes
				rate, of := side(grows)
				if grows {
					rates[1], ofCopy = rate, append(ofCopy, of)
				} else {
					rates[0] = rate
				}
			}
			without, with, ofOff = append(without, rates[0]), append(with, rates[1]), append(ofOff, rates[1]/rates[0])
		}
	}
	if k, r := kept.count(b), raw.count(b); k != r || k != 2*len(ofCopy)*each*len(sources()) {
		b.Fatalf("%d events are kept and %d copied", k, r)
	}
	b.ReportMetric(median(with), "ingest-rows/s")
	b.ReportMetric(median(without), "without-log-rows/s")
	b.ReportMetric(median(copies), "copy-rows/s")
	b.ReportMetric(median(ofCopy), "of-copy")
	b.ReportMetric(0.55, "of-copy-bound")
	b.ReportMetric(median(ofOff), "of-without-log")
	b.ReportMetric(0.9, "of-without-log-bound")
	b.ReportMetric(median(lags), "proof-s")
	b.ReportMetric(slices.Max(lags), "slowest-proof-s")
	b.ReportMetric(1, "slowest-proof-s-bound")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// relayed is what one program hands over on a stream.
type relayed struct {
	source   string
	requests []*auditv1.IngestRequest
	last     []string    // ids of the last events of the batches
	acked    []time.Time // when each batch was acknowledged
}

// handedOver makes n events of each program, every fourth with a personal value, and the requests
// that carry them.
func handedOver(b *testing.B, n int) (streams []*relayed) {
	b.Helper()
	const batch = 250
	for _, source := range sources() {
		r := &relayed{source: source, acked: make([]time.Time, n/batch)}
		for i := range n {
			e := somebodyChanged(source)
			if i%4 == 0 {
				e.Changes = append(e.Changes, event.Change{Field: "user.display_name", Value: json.RawMessage(`"Ada"`), Personal: true})
			}
			if i%batch == 0 {
				r.requests = append(r.requests, &auditv1.IngestRequest{Batch: uint64(i/batch) + 1})
				r.last = append(r.last, "")
			}
			at := len(r.requests) - 1
			r.requests[at].Events, r.last[at] = append(r.requests[at].Events, sealed(b, e)), e.ID
		}
		streams = append(streams, r)
	}
	return streams
}

// somebodyChanged is an event as most are.
func somebodyChanged(source string) event.Event {
	return event.Event{
		ID: uuid.Must(uuid.NewV7()).String(), Time: time.Now(), Source: source, Caller: "gateway", Action: "user.updated",
		Method: "gatehouse.identity.v1.UserService/UpdateUser", Outcome: event.Success, Count: 1,
		Actor:          event.Actor{Type: event.User, ID: uuid.NewString(), SessionID: uuid.NewString(), ClientID: "gatehouse"},
		OrganizationID: uuid.NewString(), ObjectType: "user", ObjectID: uuid.NewString(), RequestID: uuid.NewString(),
		Changes: []event.Change{{Field: "user.locale", Value: json.RawMessage(`"de"`)}},
	}
}

func sealed(b *testing.B, e event.Event) *auditv1.SealedEvent {
	b.Helper()
	s, err := e.Seal(rand.Reader)
	check.NoError(b, err)
	message := &auditv1.SealedEvent{Canonical: s.Canonical}
	for _, v := range s.Personal {
		message.Personal = append(message.Personal, &auditv1.PersonalValue{Field: v.Field, Salt: v.Salt, Value: v.Value})
	}
	return message
}

func handAllOver(ctx context.Context, client auditv1.IngestServiceClient, streams []*relayed) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, r := range streams {
		group.Go(func() error { return r.handOver(ctx, client) })
	}
	return group.Wait()
}

// handOver sends as a relay does, at most four batches ahead of the acknowledgements.
func (r *relayed) handOver(ctx context.Context, client auditv1.IngestServiceClient) error {
	const ahead = 4
	ctx, cancel := context.WithCancel(from(ctx, r.source))
	defer cancel()
	stream, err := client.Ingest(ctx)
	if err != nil {
		return err
	}
	for i := range len(r.requests) + ahead {
		if i < len(r.requests) {
			if err := stream.Send(r.requests[i]); err != nil {
				return err
			}
		}
		if i < ahead {
			continue
		}
		if err := acknowledged(stream, r.requests[i-ahead].GetBatch()); err != nil {
			return err
		}
		r.acked[i-ahead] = time.Now()
	}
	return nil
}

func from(ctx context.Context, source string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, request.CallerHeader, grpctest.SPIFFE(source))
}

// acknowledged reads the next answer, which must be that to the batch.
func acknowledged(stream auditv1.IngestService_IngestClient, batch uint64) error {
	answer, err := stream.Recv()
	if err == nil && (answer.GetBatch() != batch || len(answer.GetRejected()) > 0) {
		err = fmt.Errorf("batch %d is answered with %v", batch, answer)
	}
	return err
}

// timed returns how many seconds do took.
func timed(b *testing.B, do func() error) float64 {
	b.Helper()
	began := time.Now()
	check.NoError(b, do())
	return time.Since(began).Seconds()
}
