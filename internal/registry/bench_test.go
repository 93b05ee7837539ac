package registry_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// BenchmarkStuckReaders is what 16 readers that do not read cost others: the median time of a unary
// call through both sidecars with them open, beside that without, in interleaved rounds. Bound: no
// call takes a second.
func BenchmarkStuckReaders(b *testing.B) {
	const calls = 300
	w := twoSidecars(b)
	measure := func() (median, longest time.Duration) {
		took := make([]time.Duration, calls)
		for i := range took {
			began := time.Now()
			check.NoError(b, w.echo(b.Context()))
			took[i] = time.Since(began)
		}
		slices.Sort(took)
		return took[calls/2], took[calls-1]
	}
	measure() // warm
	var with, without, ratios []float64
	var longest time.Duration
	for b.Loop() {
		free, _ := measure()
		ctx, cancel := context.WithCancel(b.Context())
		w.stuckReaders(ctx, b, 16)
		beside, most := measure()
		cancel()
		with, without = append(with, float64(beside.Microseconds())), append(without, float64(free.Microseconds()))
		ratios = append(ratios, float64(beside)/float64(free))
		longest = max(longest, most)
	}
	for name, values := range map[string][]float64{"stuck-µs": with, "free-µs": without, "ratio": ratios} {
		b.ReportMetric(slices.Sorted(slices.Values(values))[len(values)/2], name)
	}
	b.ReportMetric(float64(longest.Milliseconds()), "longest-ms")
	b.ReportMetric(1000, "longest-ms-bound")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}
