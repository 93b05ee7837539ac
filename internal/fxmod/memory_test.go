package fxmod_test

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

func TestMemoryLimitStandsUnlessTheOperatorSetsOne(t *testing.T) {
	for set, want := range map[string]int64{"": 340 << 20, "1GiB": math.MaxInt64, "off": math.MaxInt64} {
		t.Run("GOMEMLIMIT="+set, func(t *testing.T) {
			t.Setenv("GOMEMLIMIT", set)
			limit := debug.SetMemoryLimit(math.MaxInt64) // as the runtime of this process began
			defer debug.SetMemoryLimit(limit)
			check.NoError(t, fxmod.MemoryLimit(340<<20).Start(t.Context()))
			if got := debug.SetMemoryLimit(-1); got != want {
				t.Errorf("the limit is %d, want %d", got, want)
			}
		})
	}
}

func TestGCPercentStandsUnlessTheOperatorSetsOne(t *testing.T) {
	for set, want := range map[string]int{"": 400, "50": 100, "off": 100} {
		t.Run("GOGC="+set, func(t *testing.T) {
			t.Setenv("GOGC", set)
			percent := debug.SetGCPercent(100) // as the runtime of this process began
			defer debug.SetGCPercent(percent)
			check.NoError(t, fxmod.GCPercent(400).Start(t.Context()))
			if got := debug.SetGCPercent(100); got != want {
				t.Errorf("the percentage is %d, want %d", got, want)
			}
		})
	}
}
