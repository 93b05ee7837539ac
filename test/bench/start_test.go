package bench_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// BenchmarkWarmUp is `gatehouse up` on a state folder that exists, to the first answer that needs a permission. Bound: 25 s on two cores.
func BenchmarkWarmUp(b *testing.B) {
	p := started(b)
	root := administrator(b, p)
	var seconds, ups []float64
	for b.Loop() {
		access, err := signIn(p, root.email) // access tokens live for minutes
		check.NoError(b, err)
		stopped(b)
		start := time.Now()
		started(b)
		ups = append(ups, time.Since(start).Seconds())
		until(b, time.Minute, 10*time.Millisecond, func() error { return get(p, "/api/v1/users?page_size=1", access) })
		seconds = append(seconds, time.Since(start).Seconds())
	}
	b.ReportMetric(median(ups), "s/up")
	b.ReportMetric(median(seconds), "s/authorised")
	b.ReportMetric(25, "s-bound")
	b.ReportMetric(0, "ns/op") // with the stop, which says nothing
}

// BenchmarkIdle is the resident memory of the five programs in all, after a warm start and one authorised request, once it has settled:
// within a minute in which nobody asks for anything. Bound: 220 MiB.
func BenchmarkIdle(b *testing.B) {
	p := started(b)
	root := administrator(b, p)
	stopped(b)
	started(b)
	until(b, time.Minute, 10*time.Millisecond, func() error { return get(p, "/api/v1/users?page_size=1", root.access) })
	pids := programs(b, p)
	var sums []float64
	for range 12 {
		<-time.After(5 * time.Second)
		sums = append(sums, total(resident(b, pids)))
		if n := len(sums); n > 5 && max(sums[n-1], sums[n-2], sums[n-3])-min(sums[n-1], sums[n-2], sums[n-3]) < 1 {
			break
		}
	}
	var each map[string]float64
	for b.Loop() {
		each = resident(b, pids)
	}
	for name, mib := range each {
		b.ReportMetric(mib, name+"-MiB")
	}
	b.ReportMetric(total(each), "MiB")
	b.ReportMetric(220, "MiB-bound")
	b.ReportMetric(0, "ns/op") // a look, which says nothing
}

// programs returns the processes of our five programs.
func programs(b *testing.B, p *platform.Platform) map[string]int {
	b.Helper()
	s, err := p.Status()
	check.NoError(b, err)
	pids := map[string]int{}
	for _, row := range s.Services {
		if _, err := os.Stat(filepath.Join(p.Bin, row.Name)); err == nil {
			pids[row.Name] = row.PID
		}
	}
	if len(pids) != 5 {
		b.Fatalf("status names the programs %v, want five", pids)
	}
	return pids
}

// resident returns the MiB that each process has in memory, its program's own pages included.
func resident(b *testing.B, pids map[string]int) map[string]float64 {
	b.Helper()
	each := map[string]float64{}
	for name, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		check.NoError(b, err)
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		kib, err := strconv.Atoi(strings.Fields(rest)[0])
		check.NoError(b, err)
		each[name] = float64(kib) / 1024
	}
	return each
}

func total(each map[string]float64) (sum float64) {
	for _, mib := range each {
		sum += mib
	}
	return sum
}

// BenchmarkServiceStart is a migrated service from exec to health SERVING, its sidecar running. Bound: 150 ms.
func BenchmarkServiceStart(b *testing.B) {
	p := started(b)
	environment := environmentOf(b, p, "identity")
	var ms []float64
	for b.Loop() {
		ms = append(ms, 1000*startToServing(b, p, "identity", environment))
	}
	b.ReportMetric(median(ms), "ms/start")
	b.ReportMetric(150, "ms-bound")
	b.ReportMetric(0, "ns/op") // with the end, which says nothing
}

// environmentOf returns what a second instance of a program needs to run beside the platform's own, on other ports and against the same
// database.
func environmentOf(b *testing.B, p *platform.Platform, name string) (environment []string) {
	b.Helper()
	environ, err := p.Environ(name)
	check.NoError(b, err)
	for _, pair := range environ {
		if !strings.HasPrefix(pair, "GATEHOUSE_CONSUL_") && !strings.HasPrefix(pair, "GATEHOUSE_MESH_") {
			environment = append(environment, pair)
		}
	}
	return append(environment, alone(0)...)
}

// startToServing returns how many seconds a program took.
func startToServing(b *testing.B, p *platform.Platform, name string, environment []string) float64 {
	b.Helper()
	cmd := exec.Command(filepath.Join(p.Bin, name), "serve")
	cmd.Env = environment
	conn := dial(b, 8081+aloneOffset)
	defer conn.Close()
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	return timed(b, func() error {
		if err := cmd.Start(); err != nil {
			return err
		}
		serving(b, conn, 10*time.Second)
		return nil
	})
}
