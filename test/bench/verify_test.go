package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// BenchmarkVerifyMemory is the most that `gatehouse audit verify` has resident while it reads a log
// of 300,000 events of 0.8 KiB, which a gateway of the test's streams as the real one does, and the
// events a second. Bound: 64 MiB. Its speed beside SHA-256 alone is BenchmarkCheck's (BENCH=Check).
func BenchmarkVerifyMemory(b *testing.B) {
	const events = 300_000
	p := built(b)
	key := auditlogtest.LogKey(b, "example.com/audit/1")
	w := wholeLog{template: sealed(b, somebodyChanged("identity")).GetCanonical(), size: events}
	log := &auditlogtest.Log{}
	for i := range int64(events) {
		log.Add(b, w.canonical(i))
		log.Leaves[i] = nil // it is made again
	}
	w.note, w.key = string(log.Checkpoint(b, events, key)), key.Text
	server := httptest.NewServer(w)
	defer server.Close()
	var peak, rates []float64
	for b.Loop() {
		cmd := exec.Command(filepath.Join(p.Bin, "gatehouse"), "audit", "verify", "--key", key.Text)
		cmd.Env = append(os.Environ(), "GATEHOUSE_CLI_TOKEN=bench", "GATEHOUSE_URL="+server.URL)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		var most float64
		took := timed(b, func() error {
			check.NoError(b, cmd.Start())
			watched := make(chan float64)
			go func() { watched <- highWater(cmd.Process.Pid) }()
			err := cmd.Wait()
			most = <-watched
			return err
		})
		if !strings.Contains(out.String(), fmt.Sprintf("good: all %d events", events)) {
			b.Fatalf("%s", out.String())
		}
		peak, rates = append(peak, most), append(rates, events/took)
	}
	b.ReportMetric(median(peak), "MiB")
	b.ReportMetric(64, "MiB-bound")
	b.ReportMetric(median(rates), "events/s")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// highWater returns the MiB that a process had resident at most, once it has ended. What the system
// tells of it afterwards begins with those of the process that started it.
func highWater(pid int) (most float64) {
	for {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		_, rest, running := strings.Cut(string(raw), "VmHWM:")
		if err != nil || !running { // of one that has ended nothing is resident
			return most
		}
		line, _, _ := strings.Cut(rest, "kB")
		if kilobytes, err := strconv.ParseFloat(strings.TrimSpace(line), 64); err == nil {
			most = max(most, kilobytes/1024)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// wholeLog is a gateway that knows a log and nothing else. Its leaves are one event with another
// request each.
type wholeLog struct {
	template  []byte
	size      int64
	note, key string
}

func (w wholeLog) canonical(i int64) []byte {
	const name = `"request_id":"`
	at := bytes.Index(w.template, []byte(name)) + len(name)
	leaf := bytes.Clone(w.template)
	copy(leaf[at:], fmt.Sprintf("%012d", i))
	return leaf
}

// ServeHTTP streams leaves by 640, which are half a MiB.
func (w wholeLog) ServeHTTP(answer http.ResponseWriter, r *http.Request) {
	const atOnce = 640
	say := json.NewEncoder(answer)
	if r.URL.Path != "/api/v1/audit/log:read" {
		_ = say.Encode(map[string]any{"checkpoint": w.note, "verifier_keys": []string{w.key}}) // who asked sees that it ends
		return
	}
	_ = say.Encode(map[string]any{"checkpoints": []string{}})
	for start := int64(0); start < w.size; start += atOnce {
		var leaves []any
		for i := start; i < min(start+atOnce, w.size); i++ {
			canonical := w.canonical(i)
			hash := auditlog.LeafHash(canonical)
			leaves = append(leaves, map[string]any{"index": strconv.FormatInt(i, 10), "canonical": canonical, "hash": hash[:]})
		}
		if say.Encode(map[string]any{"leaves": leaves}) != nil {
			return
		}
	}
	_ = say.Encode(map[string]any{"end": true})
}
