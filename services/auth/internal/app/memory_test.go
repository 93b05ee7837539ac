package app

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/pg"
)

func TestMemoryLimitFollowsTheHashes(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		kib    uint32
		hashes int
		want   int64
	}{
		"one core":       {19456, 1, besides + 28.5*mib},
		"two cores":      {19456, 2, besides + 57*mib},
		"32 cores":       {19456, 32, besides + 912*mib},
		"stronger hash":  {65536, 2, besides + 192*mib},
		"more than 4GiB": {1 << 20, 64, besides + 96*1024*mib},
	} {
		if got := memoryLimit(c.kib, c.hashes); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestStartLimitsMemoryUnlessTheOperatorDoes(t *testing.T) {
	c := configured(t, pg.Config{URL: config.NewSecret("postgres://auth:x@127.0.0.1:1/gatehouse")}, keyFile(t, 1),
		"GATEHOUSE_AUTH_PASSWORD_WORKERS=3", "GATEHOUSE_AUTH_PASSWORD_MEMORY=32768")
	for name, test := range map[string]struct {
		limit, pace string
		want        int64
		wantPace    int
		collects    bool
	}{
		"nothing set": {"", "", memoryLimit(32768, 3), collectorPace, true},
		"GOMEMLIMIT":  {"1GiB", "", math.MaxInt64, 100, false},
		"GOGC":        {"", "100", memoryLimit(32768, 3), 100, false},
		"both":        {"off", "100", math.MaxInt64, 100, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOMEMLIMIT", test.limit)
			t.Setenv("GOGC", test.pace)
			limit, pace := debug.SetMemoryLimit(math.MaxInt64), debug.SetGCPercent(100) // as the runtime of this process began
			defer func() {
				debug.SetMemoryLimit(limit)
				debug.SetGCPercent(pace)
			}()
			start(t, c)()
			if got := debug.SetMemoryLimit(-1); got != test.want {
				t.Errorf("the limit is %d, want %d", got, test.want)
			}
			if got := debug.SetGCPercent(100); got != test.wantPace {
				t.Errorf("GOGC is %d, want %d", got, test.wantPace)
			}
			if collect := paceCollector(math.MaxInt64); (collect != nil) != test.collects {
				t.Errorf("the pool collects: %t, want %t", collect != nil, test.collects)
			}
		})
	}
}
