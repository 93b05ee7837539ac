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

// BenchmarkIdleStreams is what Audit and its sidecar have resident with 10,000 followers of the trail
// open that permission admitted, through the gateway's sidecar and its own, and the median time of a
// read of a user beside them. Bound: Audit 400 MiB, no stream ends, every read succeeds.
func BenchmarkIdleStreams(b *testing.B) {
	const streams, reads = 10_000, 50
	p := started(b)
	root, who := administrator(b, p), signUp(b, p)
	pids := processes(b, p)
	path := "/api/v1/users/" + who.id
	read := func() (ms []float64) {
		for range reads {
			ms = append(ms, 1000*timed(b, func() error { return get(p, path, who.access) }))
		}
		return ms
	}
	var alone, beside, resided []float64
	for b.Loop() {
		alone = append(alone, read()...)
		f := follow(b, root.access, streams)
		beside = append(beside, read()...)
		resided = append(resided, resident(b, pids)["audit"])
		if ended := f.close(); ended > 0 {
			b.Errorf("%d of %d streams ended", ended, streams)
		}
	}
	b.ReportMetric(slices.Max(resided), "MiB")
	b.ReportMetric(400, "MiB-bound")
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

// follow opens n streams as the gateway does for who has the token, a hundred at a time, and returns
// when each has had its first message.
func follow(b *testing.B, access string, n int) *followers {
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
	ctx, f.cancel = context.WithCancel(metadata.AppendToOutgoingContext(b.Context(), "authorization", "Bearer "+access))
	opened, places := make(chan struct{}, n), make(chan struct{}, 100)
	for range n {
		f.reading.Go(func() {
			places <- struct{}{}
			stream, err := auditv1.NewAuditServiceClient(conn).TailEvents(ctx, &auditv1.TailEventsRequest{Action: "nothing.happened"})
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
