// Package crash_test kills programs of a loaded platform, again and again, and then compares what
// was acknowledged, what is stored and what the trail says (G1, G2, G5, G6). The same harness must
// fail on a build without an outbox (testdata/naive).
package crash_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

const portOffset = 3000

// start runs a platform of its own for one test.
func start(t *testing.T, overlay string) *platform.Platform {
	t.Helper()
	plat, err := platform.New(platform.Options{
		Offset: portOffset, Overlay: overlay,
		Env: []string{"GATEHOUSE_GATEWAY_RATE_PER_ADDRESS=5000", "GATEHOUSE_GATEWAY_BURST_PER_ADDRESS=5000",
			"GATEHOUSE_GATEWAY_RATE_PER_SUBJECT=5000", "GATEHOUSE_GATEWAY_BURST_PER_SUBJECT=5000",
			"GATEHOUSE_GATEWAY_RATE_CREDENTIALS=5000", "GATEHOUSE_GATEWAY_BURST_CREDENTIALS=5000"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			plat.PrintLogs(os.Stderr)
		}
		if err := plat.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := plat.Up(); err != nil {
		t.Fatal(err)
	}
	return plat
}

// kill sends the named programs a signal at the same moment and returns when each runs again.
func kill(t *testing.T, plat *platform.Platform, signal syscall.Signal, names ...string) {
	t.Helper()
	before, err := plat.Status()
	if err != nil && len(before.Services) == 0 {
		t.Fatal(err)
	}
	pids := map[string]int{}
	for _, s := range before.Services {
		pids[s.Name] = s.PID
	}
	for _, name := range names {
		if pids[name] == 0 {
			continue // on its way back
		}
		if err := syscall.Kill(pids[name], signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("end %s (%d): %v", name, pids[name], err)
		}
	}
	check.Within(t, 30*time.Second, fmt.Sprintf("%v runs again", names), func() error {
		now, err := plat.Status()
		if len(now.Services) == 0 {
			return err
		}
		for _, s := range now.Services {
			if (s.PID == 0 || s.PID == pids[s.Name]) && contains(names, s.Name) {
				return fmt.Errorf("%s has not come back", s.Name)
			}
		}
		return nil
	})
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// harness loads a platform for a while, kills meanwhile, lets it drain, and returns everything that
// does not add up, and what a recorder saw of the log all through it.
func harness(t *testing.T, plat *platform.Platform, span time.Duration) ([]string, *recorder) {
	t.Helper()
	world := newWorld(t, plat)
	log := newRecorder(t, world)
	ctx, stop := context.WithTimeout(t.Context(), span)
	defer stop()
	done, recorded := world.load(ctx), log.record(ctx)
	// Every service has a relay, so whoever dies, one does.
	victims := [][]string{{"identity", "auth", "authz", "audit", "gateway"}, {"audit"}, {"authz"}, {"identity"}, {"auth"}}
	for round := 0; ctx.Err() == nil; round++ {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(500+rand.IntN(2000)) * time.Millisecond): // when a fault comes
			kill(t, plat, syscall.SIGKILL, victims[round%len(victims)]...)
		}
	}
	<-done
	<-recorded
	t.Logf("%s", world.summary())
	world.drained(t)
	return append(world.audit(t), log.audit(t)...), log
}

// Whatever is killed, every acknowledged change has exactly one event and no event lacks its change;
// and the log of all events begins with every one that was ever given out.
func TestNothingIsLost(t *testing.T) {
	plat := start(t, "")
	wrong, log := harness(t, plat, time.Minute)
	for _, sentence := range wrong {
		t.Error(sentence)
	}
	if !t.Failed() {
		log.noticesARewind(t)
	}
}

// The control: without the outbox the same harness must find that something is lost, or it proves nothing.
func TestHarnessNoticesALostEvent(t *testing.T) {
	plat := start(t, "test/crash/testdata/naive/overlay.json")
	wrong, _ := harness(t, plat, 10*time.Second)
	lost := slices.IndexFunc(wrong, func(sentence string) bool { return strings.Contains(sentence, "was acknowledged and has 0 events") })
	if lost < 0 {
		t.Fatalf("programs without an outbox were killed under load and the harness found no event lost: %q", wrong)
	}
	t.Logf("found, as it must: %d, such as: %s", len(wrong), wrong[lost])
}
