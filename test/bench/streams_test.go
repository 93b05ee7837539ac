package bench_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gatehouse/gatehouse/consul"
	meshclient "github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// BenchmarkIdleStreams is what Audit and its sidecar have resident with 10,000 streams of the trail
// open, on which people follow what they do themselves, through the gateway's sidecar and Audit's, and
// the median time of a read of a user beside them. Bound: Audit 400 MiB, no stream ends, every read
// succeeds.
func BenchmarkIdleStreams(b *testing.B) {
	const streams, reads = 10_000, 50
	p := started(b)
	who := signUp(b, p)
	pids := processes(b, p)
	path := "/api/v1/users/" + who.id
	read := func() (ms []float64) {
		for range reads {
			ms = append(ms, 1000*timed(b, func() error { return get(p, path, who.access) }))
		}
		return ms
	}
	var alone, beside, resided, sidecars []float64
	for b.Loop() {
		alone = append(alone, read()...)
		f := follow(b, who, streams)
		beside = append(beside, read()...)
		now := resident(b, pids)
		resided, sidecars = append(resided, now["audit"]), append(sidecars, now["audit-sidecar"])
		if ended := f.close(); ended > 0 {
			b.Errorf("%d of %d streams ended", ended, streams)
		}
	}
	b.ReportMetric(slices.Max(resided), "MiB")
	b.ReportMetric(400, "MiB-bound")
	b.ReportMetric(slices.Max(sidecars), "sidecar-MiB")
	b.ReportMetric(median(alone), "alone-ms")
	b.ReportMetric(median(beside), "beside-ms")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// followers are open streams of the trail, read as the gateway reads them.
type followers struct {
	reading sync.WaitGroup
	cancel  context.CancelFunc
	ended   chan error
}

// follow opens n streams as the gateway does for a person, a hundred at a time, and returns
// when each has had its first message.
func follow(b *testing.B, who person, n int) *followers {
	b.Helper()
	def, err := consul.Definition()
	check.NoError(b, err)
	contracts, err := contract.Load(protoregistry.GlobalFiles)
	check.NoError(b, err)
	conn, err := meshclient.Dial(def, portOffset, "gateway", "audit", meshclient.Options{Contract: contracts})
	check.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close() })
	f := &followers{ended: make(chan error, n)}
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(metadata.AppendToOutgoingContext(b.Context(), "authorization", "Bearer "+who.access))
	opened, places := make(chan struct{}, n), make(chan struct{}, 100)
	for range n {
		f.reading.Go(func() {
			places <- struct{}{}
			stream, err := auditv1.NewAuditServiceClient(conn).TailEvents(ctx, &auditv1.TailEventsRequest{ActorId: who.id, Action: "nothing.happened"})
			if err == nil {
				_, err = stream.Recv()
			}
			<-places
			opened <- struct{}{}
			for err == nil {
				_, err = stream.Recv()
			}
			if ctx.Err() == nil {
				f.ended <- err
			}
		})
	}
	for range n {
		select {
		case <-opened:
		case <-time.After(time.Minute):
			b.Fatal("no further stream opens within a minute")
		}
	}
	return f
}

// close ends the streams and returns how many had ended before.
func (f *followers) close() (ended int) {
	ended = len(f.ended)
	f.cancel()
	f.reading.Wait()
	return ended
}
