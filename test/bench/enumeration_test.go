package bench_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
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

// BenchmarkEnumeration asks whether the time of a refused sign-in tells if the account exists, or
// in which state it is: the area under the ROC curve (AUC) of 2,000 refusals of each kind beside as
// many of addresses that nobody has, in one interleaved run. All sides have the same history, which
// whoever asks makes themselves: as many attempts at as many addresses. 0.5 tells nothing. Bound:
// 0.45 to 0.55 (R11); a kind beyond it is measured once more, with fresh samples.
func BenchmarkEnumeration(b *testing.B) {
	p := started(b)
	waiting := [2]string{signUp(b, p).email, nobody()}
	for _, address := range waiting {
		for range 12 {
			_, err := refuse(p, address)
			check.NoError(b, err)
		}
	}
	compare(b, p, []comparison{
		{refuse, []kind{{"unknown", strangers(each)}, accounts(b, p, "wrong", verified), accounts(b, p, "unverified", ""), accounts(b, p, "pending", pending), accounts(b, p, "suspended", suspended)}},
		{refuse, []kind{{"unknown", waiting[1:]}, {"waiting", waiting[:1]}}},
	})
}

// each is how many addresses of a kind there are: each fails less often than costs a wait.
const each = samplesASide / 5

// What makes a row of a login say that the address is proven, that its sign-up was interrupted, or
// that its user is suspended.
const (
	verified  = "email_verified = true"
	pending   = "state = 'pending', organization_id = null, attempt_time = 'infinity'"
	suspended = "state = 'suspended', suspended = true"
)

// accounts signs people up where no mail is sent, and then changes their logins.
func accounts(b *testing.B, p *platform.Platform, name, change string) kind {
	b.Helper()
	k := kind{name: name, addresses: make([]string, each)}
	for i := range k.addresses {
		k.addresses[i] = name + "-" + strings.ToLower(rand.Text()) + "@example.com"
		_, err := post(p, "/api/v1/auth/sign-up", map[string]string{"email": k.addresses[i], "password": password}, http.StatusCreated)
		check.NoError(b, err)
	}
	if change == "" {
		return k
	}
	conn, err := p.Database(b.Context())
	check.NoError(b, err)
	defer func() { check.NoError(b, conn.Close(context.WithoutCancel(b.Context()))) }()
	done, err := conn.Exec(b.Context(), "update auth.logins set "+change+" where email = any($1)", k.addresses)
	check.NoError(b, err)
	if done.RowsAffected() != each {
		b.Fatalf("%d logins are %s", done.RowsAffected(), name)
	}
	return k
}

// strangers are addresses that nobody has.
func strangers(count int) []string {
	all := make([]string, count)
	for i := range all {
		all[i] = nobody()
	}
	return all
}

// compare takes the samples of all comparisons, and reports their AUC.
func compare(b *testing.B, p *platform.Platform, all []comparison) {
	b.Helper()
	took := make([]samples, len(all))
	for b.Loop() { // make bench has five rounds
		for i, c := range all {
			check.NoError(b, took[i].take(p, c, samplesASide/5))
		}
	}
	for i, c := range all {
		for side := 1; side < len(c.kinds); side++ {
			area := auc(took[i][side], took[i][0])
			if area < 0.45 || area > 0.55 {
				b.Logf("%s: %.3f, once more", c.kinds[side].name, area)
				var again samples
				check.NoError(b, again.take(p, comparison{c.ask, []kind{c.kinds[0], c.kinds[side]}}, samplesASide))
				area = auc(again[1], again[0])
			}
			b.ReportMetric(area, c.kinds[side].name+"-AUC")
		}
	}
	b.ReportMetric(0.45, "AUC-least")
	b.ReportMetric(0.55, "AUC-most")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// comparison is of answers about addresses of several kinds with those of the first kind, which
// nobody has.
type comparison struct {
	ask   func(p *platform.Platform, email string) (time.Duration, error)
	kinds []kind
}

// kind is a kind of addresses, which are asked about in turn.
type kind struct {
	name      string
	addresses []string
}

// samples are how long answers took, in seconds, by kind.
type samples [][]float64

// take asks about some more addresses of each kind, one after the other in an order that changes.
func (s *samples) take(p *platform.Platform, c comparison, times int) error {
	if *s == nil {
		*s = make(samples, len(c.kinds))
	}
	for range times {
		for _, side := range mathrand.Perm(len(c.kinds)) {
			k := c.kinds[side]
			d, err := c.ask(p, k.addresses[len((*s)[side])%len(k.addresses)])
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			(*s)[side] = append((*s)[side], d.Seconds())
		}
	}
	return nil
}

// auc is the probability that an answer of the known took longer than one of the unknown
// (Mann–Whitney U), equal ones half.
func auc(known, unknown []float64) float64 {
	sorted := slices.Sorted(slices.Values(unknown))
	sum := 0.0
	for _, v := range known {
		smaller, _ := slices.BinarySearch(sorted, v)
		upTo := smaller
		for upTo < len(sorted) && sorted[upTo] == v {
			upTo++
		}
		sum += float64(smaller) + float64(upTo-smaller)/2
	}
	return sum / float64(len(known)) / float64(len(unknown))
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
