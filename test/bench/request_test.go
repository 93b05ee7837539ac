package bench_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// BenchmarkRequest is the CPU that a request costs each process, in ms: a read of one's own user
// (GET) and a write of it (PATCH of its name, with its event in the trail), by eight clients at a
// time, in turns on one platform, every mesh hop included. Requests a second are of this machine,
// whose cores the clients share. A sign-in is BenchmarkSignIn's. What the rows are made of, and what
// they were, is in docs/architecture/services.md.
func BenchmarkRequest(b *testing.B) {
	const (
		slice   = 3 * time.Second
		clients = 8
	)
	p := started(b)
	who := signUp(b, p)
	path := "/api/v1/users/" + who.id
	pids := processes(b, p)
	kinds := []struct {
		name string
		do   func() error
	}{
		{"read", func() error { return get(p, path, who.access) }},
		{"write", func() error { return rename(p, path, who.access) }},
	}
	costs := map[string]map[string][]float64{"read": {}, "write": {}}
	for b.Loop() {
		for round := range 3 {
			for _, k := range kinds {
				before := used(b, pids)
				perSecond, err := rate(context.Background(), clients, slice, k.do)
				check.NoError(b, err)
				<-time.After(200 * time.Millisecond) // the last events arrive in the trail
				if round == 0 {
					continue // warm
				}
				for name, ms := range used(b, pids) {
					costs[k.name][name] = append(costs[k.name][name], (ms-before[name])/(perSecond*slice.Seconds()))
				}
				costs[k.name]["/s"] = append(costs[k.name]["/s"], perSecond)
			}
		}
	}
	for kind, byProcess := range costs {
		all := 0.0
		for name, ms := range byProcess {
			if name == "/s" {
				b.ReportMetric(median(ms), kind+"s/s")
				continue
			}
			b.ReportMetric(median(ms), kind+"-"+name+"-ms")
			all += median(ms)
		}
		b.ReportMetric(all, kind+"-cpu-ms")
	}
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// rename changes the name of a user.
func rename(p *platform.Platform, path, bearer string) error {
	body := strings.NewReader(fmt.Sprintf(`{"display_name": "at %d"}`, time.Now().UnixNano()))
	req, err := http.NewRequest(http.MethodPatch, p.URL()+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = read(resp, http.StatusOK)
	return err
}
