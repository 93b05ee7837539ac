package bench_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// samplesASide is how many refusals of each kind are timed.
const samplesASide = 2000

// nobody makes the addresses that no account has, each used once: the case that others are compared with.
func nobody(int) string { return "nobody-" + strings.ToLower(rand.Text()) + "@example.com" }

// BenchmarkEnumeration asks whether the time of a refused sign-in tells if the account exists, or if
// it has to wait: the area under the ROC curve (AUC) of 2,000 refusals of each kind beside as many of
// addresses that nobody has, in one interleaved run. 0.5 tells nothing. Bound: 0.45 to 0.55 (R11); a
// kind beyond it is measured once more, with fresh samples.
func BenchmarkEnumeration(b *testing.B) {
	p := started(b)
	people := make([]string, samplesASide/5) // each fails less often than costs a wait
	for i := range people {
		people[i] = "refused-" + strings.ToLower(rand.Text()) + "@example.com"
		_, err := post(p, "/api/v1/auth/sign-up", map[string]string{"email": people[i], "password": password}, http.StatusCreated)
		check.NoError(b, err)
	}
	waiting := [2]string{signUp(b, p).email, nobody(0)}
	for _, address := range waiting {
		for range 12 {
			_, err := refuse(p, address)
			check.NoError(b, err)
		}
	}
	kinds := map[string]func(i int) string{
		"wrong":           func(i int) string { return people[i%len(people)] },
		"waiting":         func(int) string { return waiting[0] },
		"waiting-unknown": func(int) string { return waiting[1] },
	}
	took := map[string][]float64{}
	for b.Loop() {
		check.NoError(b, refuseInTurn(p, kinds, took, samplesASide/5)) // make bench has five rounds
	}
	for name, kind := range kinds {
		area := auc(took[name], took["unknown"])
		if area < 0.45 || area > 0.55 {
			b.Logf("%s: %.3f, once more", name, area)
			again := map[string][]float64{}
			check.NoError(b, refuseInTurn(p, map[string]func(int) string{name: kind}, again, samplesASide))
			area = auc(again[name], again["unknown"])
		}
		b.ReportMetric(area, name+"-AUC")
	}
	b.ReportMetric(0.45, "AUC-least")
	b.ReportMetric(0.55, "AUC-most")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// refuseInTurn has sign-ins of each kind and of nobody refused some times, one after the other, and
// adds how long each took. Who is first changes.
func refuseInTurn(p *platform.Platform, kinds map[string]func(int) string, took map[string][]float64, times int) error {
	all := maps.Clone(kinds)
	all["unknown"] = nobody
	names := slices.Sorted(maps.Keys(all))
	for i := range times {
		for turn := range names {
			name := names[(i+turn)%len(names)]
			d, err := refuse(p, all[name](len(took[name])))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			took[name] = append(took[name], d.Seconds())
		}
	}
	return nil
}

// refuse signs in with a wrong password, and returns how long the refusal took.
func refuse(p *platform.Platform, email string) (time.Duration, error) {
	raw, err := json.Marshal(map[string]string{"email": email, "password": "wrong horse battery staple"})
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	resp, err := client.Post(p.URL()+"/api/v1/auth/sign-in", "application/json", bytes.NewReader(raw))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusUnauthorized {
		return 0, fmt.Errorf("status %d, want 401", resp.StatusCode)
	}
	return time.Since(begun), nil
}

// auc is the probability that one of a is larger than one of b (Mann–Whitney U), equal ones half.
func auc(a, b []float64) float64 {
	sorted := slices.Sorted(slices.Values(b))
	sum := 0.0
	for _, v := range a {
		smaller, _ := slices.BinarySearch(sorted, v)
		upTo := smaller
		for upTo < len(sorted) && sorted[upTo] == v {
			upTo++
		}
		sum += float64(smaller) + float64(upTo-smaller)/2
	}
	return sum / float64(len(a)) / float64(len(b))
}
