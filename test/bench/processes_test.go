package bench_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// tick is the unit of the CPU times in /proc: USER_HZ, which is 100 on every Linux.
const tick = 10.0 // ms

// processes returns every process of the platform that a request may keep busy, by name: programs,
// sidecars and Consul. PostgreSQL has many; they are found anew at each look, and those that ended
// stay counted by their parent.
func processes(b *testing.B, p *platform.Platform) map[string]int {
	b.Helper()
	s, err := p.Status()
	check.NoError(b, err)
	pids := map[string]int{"consul": s.Consul.PID}
	for _, row := range s.Services {
		pids[row.Name] = row.PID
		if row.Sidecar.PID != 0 {
			pids[row.Name+"-sidecar"] = row.Sidecar.PID
		}
	}
	return pids
}

// used returns the milliseconds of CPU that each process has used so far, with its children.
func used(b *testing.B, pids map[string]int) map[string]float64 {
	b.Helper()
	names := make(map[int]string, len(pids))
	for name, pid := range pids {
		names[pid] = name
	}
	ms := map[string]float64{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	check.NoError(b, err)
	for _, path := range stats {
		pid, parent, own, ended, err := cpu(path)
		if err != nil {
			continue // it ended meanwhile
		}
		if name, ok := names[pid]; ok {
			ms[name] += own + ended
		} else if name, ok := names[parent]; ok {
			ms[name] += own
		}
	}
	return ms
}

// cpu reads the CPU time of a process and of its children that ended (proc(5)).
func cpu(stat string) (pid, parent int, own, ended float64, err error) {
	raw, err := os.ReadFile(stat)
	if err != nil {
		return 0, 0, 0, 0, err
	}
	number, rest, _ := strings.Cut(string(raw), " (")
	fields := strings.Fields(rest[strings.LastIndexByte(rest, ')')+1:]) // from the third on: state, parent, …
	var times [4]float64
	for i := range times {
		if times[i], err = strconv.ParseFloat(fields[11+i], 64); err != nil {
			return 0, 0, 0, 0, fmt.Errorf("read %s: %w", stat, err)
		}
	}
	pid, err = strconv.Atoi(number)
	if err == nil {
		parent, err = strconv.Atoi(fields[1])
	}
	return pid, parent, tick * (times[0] + times[1]), tick * (times[2] + times[3]), err
}
