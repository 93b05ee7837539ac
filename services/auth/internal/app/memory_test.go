package app

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
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
	c := configured(t, apptest.FreePorts(t, Name), apptest.Nowhere(Name), keyFile(t, 1),
		"GATEHOUSE_AUTH_PASSWORD_WORKERS=3", "GATEHOUSE_AUTH_PASSWORD_MEMORY=32768")
	for name, test := range map[string]struct {
		set  string
		want int64
	}{
		"nothing set": {"", memoryLimit(32768, 3)},
		"GOMEMLIMIT":  {"1GiB", math.MaxInt64},
		"none":        {"off", math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOMEMLIMIT", test.set)
			limit := debug.SetMemoryLimit(math.MaxInt64) // as the runtime of this process began
			defer debug.SetMemoryLimit(limit)
			start(t, c)()
			if got := debug.SetMemoryLimit(-1); got != test.want {
				t.Errorf("the limit is %d, want %d", got, test.want)
			}
		})
	}
}
