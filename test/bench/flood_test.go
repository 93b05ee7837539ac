package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// BenchmarkSignInFlood is how long an honest sign-in takes at most while 64 clients at each of four
// other addresses sign in as fast as they are answered. Bound: 2 s. Beside it is the 99th percentile
// of another route, GET /api/v1/me, at rest and under the flood.
func BenchmarkSignInFlood(b *testing.B) {
	const (
		addresses, clients = 4, 64
		calls              = 200
	)
	p := started(b)
	honest := signUp(b, p)
	var slowest time.Duration
	var atRest, flooded []float64
	for b.Loop() {
		quiet, err := eachOf(calls, func() error { return get(p, "/api/v1/me", honest.access) })
		check.NoError(b, err)
		ctx, cancel := context.WithCancel(b.Context())
		var flood sync.WaitGroup
		for i := range addresses * clients {
			from := fmt.Sprintf("127.0.0.%d", 11+i%addresses)
			flood.Go(func() { floodFrom(ctx, p, from, i) })
		}
		for range 10 {
			begun := time.Now()
			_, err := signIn(p, honest.email)
			check.NoError(b, err)
			slowest = max(slowest, time.Since(begun))
		}
		busy, err := eachOf(calls, func() error { return get(p, "/api/v1/me", honest.access) })
		cancel()
		flood.Wait()
		check.NoError(b, err)
		atRest, flooded = append(atRest, quiet...), append(flooded, busy...)
	}
	b.ReportMetric(slowest.Seconds(), "slowest-s")
	b.ReportMetric(2, "slowest-s-bound")
	b.ReportMetric(p99(atRest)*1000, "me-p99-ms")
	b.ReportMetric(p99(flooded)*1000, "me-p99-flooded-ms")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// floodFrom signs in from an address with passwords that are wrong until ctx ends.
func floodFrom(ctx context.Context, p *platform.Platform, from string, n int) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	flooding := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext}}
	defer flooding.CloseIdleConnections()
	for i := 0; ctx.Err() == nil; i++ {
		raw, err := json.Marshal(map[string]string{"email": fmt.Sprintf("flood-%d-%d@example.com", n, i), "password": password})
		if err != nil {
			return
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL()+"/api/v1/auth/sign-in", bytes.NewReader(raw))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/json")
		if resp, err := flooding.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
}

// eachOf returns the seconds that each of some calls took.
func eachOf(calls int, do func() error) ([]float64, error) {
	took := make([]float64, 0, calls)
	for range calls {
		begun := time.Now()
		if err := do(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begun).Seconds())
	}
	return took, nil
}

func p99(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)*99/100]
}
