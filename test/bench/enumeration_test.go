package bench_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
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

// nobody makes an address that no account has.
func nobody() string { return "nobody-" + strings.ToLower(rand.Text()) + "@example.com" }

// BenchmarkEnumeration asks whether the time of a refused sign-in tells if the account exists: the
// area under the ROC curve (AUC) of 2,000 refusals of each kind beside as many of addresses that
// nobody has, in one interleaved run. Both sides have the same history, which whoever asks makes
// themselves: as many attempts at as many addresses. 0.5 tells nothing. Bound: 0.45 to 0.55 (R11);
// a kind beyond it is measured once more, with fresh samples.
func BenchmarkEnumeration(b *testing.B) {
	p := started(b)
	people := make([]string, samplesASide/5) // each fails less often than costs a wait
	strangers := make([]string, len(people))
	for i := range people {
		people[i], strangers[i] = "refused-"+strings.ToLower(rand.Text())+"@example.com", nobody()
		_, err := post(p, "/api/v1/auth/sign-up", map[string]string{"email": people[i], "password": password}, http.StatusCreated)
		check.NoError(b, err)
	}
	waiting := [2]string{signUp(b, p).email, nobody()}
	for _, address := range waiting {
		for range 12 {
			_, err := refuse(p, address)
			check.NoError(b, err)
		}
	}
	cells := []cell{
		{"wrong", refuse, func(i int) string { return people[i%len(people)] }, func(i int) string { return strangers[i%len(strangers)] }},
		{"waiting", refuse, func(int) string { return waiting[0] }, func(int) string { return waiting[1] }},
	}
	compare(b, p, cells)
}

// compare takes the samples of all cells, and reports their AUC.
func compare(b *testing.B, p *platform.Platform, cells []cell) {
	b.Helper()
	took := make([]samples, len(cells))
	for b.Loop() { // make bench has five rounds
		for i, c := range cells {
			check.NoError(b, took[i].take(p, c, samplesASide/5))
		}
	}
	for i, c := range cells {
		area := took[i].auc()
		if area < 0.45 || area > 0.55 {
			b.Logf("%s: %.3f, once more", c.name, area)
			again := samples{}
			check.NoError(b, again.take(p, c, samplesASide))
			area = again.auc()
		}
		b.ReportMetric(area, c.name+"-AUC")
	}
	b.ReportMetric(0.45, "AUC-least")
	b.ReportMetric(0.55, "AUC-most")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// cell compares answers about addresses that have an account with those about addresses that have
// none; both say which address the nth attempt is for.
type cell struct {
	name           string
	ask            func(p *platform.Platform, email string) (time.Duration, error)
	known, unknown func(n int) string
}

// samples are how long answers took, in seconds.
type samples struct {
	known, unknown []float64
}

// take asks about some more addresses of each side, one after the other. Who is first changes.
func (s *samples) take(p *platform.Platform, c cell, times int) error {
	for range times {
		n := len(s.known)
		known := func() error { return sample(p, c, c.known(n), &s.known) }
		unknown := func() error { return sample(p, c, c.unknown(n), &s.unknown) }
		turns := []func() error{known, unknown}
		for i := range turns {
			if err := turns[(n+i)%len(turns)](); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return nil
}

// sample appends how long one answer took.
func sample(p *platform.Platform, c cell, email string, took *[]float64) error {
	d, err := c.ask(p, email)
	*took = append(*took, d.Seconds())
	return err
}

// auc is the probability that a refusal of the known took longer than one of the unknown
// (Mann–Whitney U), equal ones half.
func (s *samples) auc() float64 {
	sorted := slices.Sorted(slices.Values(s.unknown))
	sum := 0.0
	for _, v := range s.known {
		smaller, _ := slices.BinarySearch(sorted, v)
		upTo := smaller
		for upTo < len(sorted) && sorted[upTo] == v {
			upTo++
		}
		sum += float64(smaller) + float64(upTo-smaller)/2
	}
	return sum / float64(len(s.known)) / float64(len(s.unknown))
}

// refuse signs in with a wrong password, and returns how long the refusal took.
func refuse(p *platform.Platform, email string) (time.Duration, error) {
	return timedPost(p, "/api/v1/auth/sign-in", map[string]string{"email": email, "password": "wrong horse battery staple"}, http.StatusUnauthorized)
}

// timedPost sends JSON, and returns how long the answer took.
func timedPost(p *platform.Platform, path string, body map[string]string, want int) (time.Duration, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	resp, err := client.Post(p.URL()+path, "application/json", bytes.NewReader(raw))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if resp.StatusCode != want {
		return 0, fmt.Errorf("status %d, want %d", resp.StatusCode, want)
	}
	return time.Since(begun), nil
}
