package grpcserver

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	grpcprometheus "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// descriptions are names, help and labels of what collectors collect.
func descriptions(collectors ...prometheus.Collector) []string {
	all := map[string]bool{}
	for _, c := range collectors {
		found := make(chan *prometheus.Desc, 100)
		c.Describe(found)
		close(found)
		for d := range found {
			all[d.String()] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Metrics have the names and labels of go-grpc-middleware, which dashboards know.
func TestMetricsAreThoseOfTheLibrary(t *testing.T) {
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	want := descriptions(grpcprometheus.NewServerMetrics(grpcprometheus.WithServerHandlingTimeHistogram()))
	if got := descriptions(m.started, m.handled, m.received, m.sent, m.handling); !slices.Equal(got, want) {
		t.Errorf("metrics are\n%s\nwant\n%s", got, want)
	}
}

// nobody admits no program.
type nobody struct{}

func (nobody) Admits(string, string) bool { return false }
func (nobody) IsEdge(string) bool         { return false }

// Programs that may not call cost no memory, however many names they have.
func TestStrangersShareARate(t *testing.T) {
	used, policy := &usages{of: map[pair]*usage{}}, &contract.Method{Rate: contract.Rate{PerSecond: 1, Burst: 1}}
	for i := range 100 {
		used.by(Params{Callers: nobody{}}, &rpc{policy: policy, service: fmt.Sprint("stranger-", i)})
	}
	if len(used.of) != 1 {
		t.Errorf("the rates of %d programs are kept", len(used.of))
	}
}
