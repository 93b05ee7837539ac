package bench_test

import (
	"net/http"
	"testing"
	"time"
)

// BenchmarkPermission is what a permission check adds to a request: the median of GET of a user by an administrator of the platform,
// whom Authz must admit, less that of the same user by oneself, whom nobody is asked about; in turns, one at a time, on one platform,
// every mesh hop included. Bound: 2 ms.
func BenchmarkPermission(b *testing.B) {
	const pairs = 300
	p := started(b)
	root, who := administrator(b, p), signUp(b, p)
	path := "/api/v1/users/" + who.id
	until(b, 20*time.Second, 20*time.Millisecond, func() error { return get(p, path, root.access) }) // the relationships are on their way
	request := func(bearer string) float64 {
		return 1000 * timed(b, func() error { return get(p, path, bearer) })
	}
	var self, permitted []float64
	for b.Loop() {
		for i := range pairs {
			s, a := request(who.access), request(root.access)
			if i < pairs/10 { // warm
				continue
			}
			self, permitted = append(self, s), append(permitted, a)
		}
	}
	// Nobody else is admitted, so that what was measured is a decision.
	if err := getStatus(p, path, signUp(b, p).access, http.StatusNotFound); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(median(self), "self-ms")
	b.ReportMetric(median(permitted), "permission-ms")
	b.ReportMetric(median(permitted)-median(self), "added-ms")
	b.ReportMetric(2, "ms-bound")
	b.ReportMetric(0, "ns/op") // a pair of many, which says nothing
}
