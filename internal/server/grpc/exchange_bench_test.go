package grpcserver_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/web"
)

// BenchmarkExchange is what the envelope adds to a handler: a form at a service's own door, which
// hands it over to the service by gRPC, beside the same handler behind net/http alone, in
// interleaved rounds. Bound: 0.25 ms, of the medians.
func BenchmarkExchange(b *testing.B) {
	x := serveExchanges(b)
	x.token = func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.PostForm.Get("code") == "" {
			http.Error(w, "no code", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"`+strings.Repeat("x", 800)+`"}`)
	}
	direct := httptest.NewServer(x.token)
	defer direct.Close()
	form := "grant_type=authorization_code&code=" + strings.Repeat("c", 400) + "&code_verifier=" + strings.Repeat("v", 43)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	round := func(url string) (took []float64) {
		for range 500 {
			began := time.Now()
			response, err := client.Post(url+tokenPath, web.FormType, strings.NewReader(form))
			if err != nil {
				b.Fatal(err)
			}
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			took = append(took, float64(time.Since(began).Microseconds())/1000)
			if err != nil || response.StatusCode != http.StatusOK {
				b.Fatal(response.Status, err)
			}
		}
		return took
	}
	round(x.url) // warm
	round(direct.URL)
	var door, alone []float64
	for b.Loop() {
		door, alone = append(door, round(x.url)...), append(alone, round(direct.URL)...)
	}
	middle := func(of []float64) float64 {
		slices.Sort(of)
		return of[len(of)/2]
	}
	b.ReportMetric(middle(door), "door-ms")
	b.ReportMetric(middle(alone), "direct-ms")
	b.ReportMetric(middle(door)-middle(alone), "envelope-ms")
	b.ReportMetric(0.25, "bound-ms")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}
