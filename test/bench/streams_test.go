package bench_test

import (
	"bufio"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	meshclient "github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// BenchmarkIdleStreams is what Audit and its sidecar have resident with 10,000 streams of the trail
// open, which a permission admitted, through the gateway's sidecar and Audit's, how often Authz is
// asked, and the median time of a read of a user beside them. Bounds: Audit 400 MiB, 200 questions
// a second, no stream ends, every read succeeds.
func BenchmarkIdleStreams(b *testing.B) {
	const streams, reads = 10_000, 50
	p := started(b)
	who, root := signUp(b, p), administrator(b, p)
	pids := processes(b, p)
	path := "/api/v1/users/" + who.id
	read := func() (ms []float64) {
		for range reads {
			ms = append(ms, 1000*timed(b, func() error { return get(p, path, who.access) }))
		}
		return ms
	}
	var alone, beside, resided, sidecars, questions []float64
	for b.Loop() {
		alone = append(alone, read()...)
		f := follow(b, root, streams)
		questions = append(questions, asked(b, p))
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
	b.ReportMetric(slices.Max(questions), "questions/s")
	b.ReportMetric(200, "questions/s-bound")
	b.ReportMetric(median(alone), "alone-ms")
	b.ReportMetric(median(beside), "beside-ms")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// asked returns how often a second Authz is asked for permissions, over half a minute.
func asked(b *testing.B, p *platform.Platform) float64 {
	b.Helper()
	const over = 30 * time.Second
	questions := regexp.MustCompile(`^grpc_server_started_total\{.*grpc_method="(Batch)?Check"`)
	authz, err := p.Service("authz")
	check.NoError(b, err)
	count := func() (n float64) {
		resp, err := http.Get("http://" + strings.TrimPrefix(authz.HTTP, "http://") + "/metrics")
		check.NoError(b, err)
		defer func() { _ = resp.Body.Close() }()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if questions.MatchString(lines.Text()) {
				one, err := strconv.ParseFloat(lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:], 64)
				check.NoError(b, err)
				n += one
			}
		}
		return n
	}
	before := count()
	if before == 0 {
		b.Fatal("Authz counts no questions")
	}
	<-time.After(over)
	return (count() - before) / over.Seconds()
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
	def := meshtest.Definition(b)
	contracts := meshtest.Contract(b)
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
