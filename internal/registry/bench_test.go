package registry_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// BenchmarkStuckReaders is what 16 readers that do not read cost others: the median time of a unary
// call through both sidecars with them open, beside that without, in interleaved rounds. Meanwhile
// a stream sends 64 KiB and waits for the answer, in turns with the calls, as the outbox does.
// Bound: neither a call nor an answer to what is ingested takes a second.
func BenchmarkStuckReaders(b *testing.B) {
	const calls = 300
	w := twoSidecars(b)
	sender, err := w.open(b.Context(), ingest, 64<<10)
	check.NoError(b, err)
	measure := func() (median, call, ingested time.Duration) {
		took := make([]time.Duration, calls)
		for i := range took {
			began := time.Now()
			check.NoError(b, w.echo(b.Context()))
			took[i] = time.Since(began)
			m := &wrapperspb.BytesValue{}
			check.NoError(b, sender.RecvMsg(m))
			check.NoError(b, sender.SendMsg(m))
			ingested = max(ingested, time.Since(began)-took[i])
		}
		slices.Sort(took)
		return took[calls/2], took[calls-1], ingested
	}
	measure() // warm
	var with, without, ratios []float64
	var longestCall, longestIngest time.Duration
	for b.Loop() {
		free, _, _ := measure()
		ctx, cancel := context.WithCancel(b.Context())
		w.stuckReaders(ctx, b, 16)
		beside, call, ingested := measure()
		cancel()
		with, without = append(with, float64(beside.Microseconds())), append(without, float64(free.Microseconds()))
		ratios = append(ratios, float64(beside)/float64(free))
		longestCall, longestIngest = max(longestCall, call), max(longestIngest, ingested)
	}
	for name, values := range map[string][]float64{"stuck-µs": with, "free-µs": without, "ratio": ratios} {
		b.ReportMetric(slices.Sorted(slices.Values(values))[len(values)/2], name)
	}
	b.ReportMetric(float64(longestCall.Milliseconds()), "longest-call-ms")
	b.ReportMetric(float64(longestIngest.Milliseconds()), "longest-ingest-ms")
	b.ReportMetric(1000, "longest-ms-bound")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}
