package password

import (
	"context"
	"crypto/rand"
	"errors"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

func newPool(t *testing.T, p Parameters, workers, queue int) *Pool {
	t.Helper()
	pool, err := NewPool(p, workers, queue, rand.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func TestPoolSaysWhenAHashIsWeak(t *testing.T) { // R6
	ctx := context.Background()
	old, err := newPool(t, cheap, 1, 0).Hash(ctx, "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		p    Parameters
		weak bool
	}{
		"same":        {cheap, false},
		"more memory": {Parameters{Memory: 128, Time: 1, Threads: 1}, true},
		"more passes": {Parameters{Memory: 64, Time: 2, Threads: 1}, true},
		"less":        {Parameters{Memory: 32, Time: 1, Threads: 1}, false},
	} {
		match, weak, err := newPool(t, c.p, 1, 0).Verify(ctx, "correct horse battery", old)
		if err != nil || !match || weak != c.weak {
			t.Errorf("%s: Verify = %v, %v, %v; want true, %v", name, match, weak, err, c.weak)
		}
	}
}

// The time of a verification cannot be asserted, its causes can: the parameters that the decoy carries, and that argon2id really ran,
// which shows in the memory it takes.
func TestVerifyNobodyDoesTheWorkOfVerify(t *testing.T) { // R11
	p := Parameters{Memory: 8 << 10, Time: 3, Threads: 2}
	pool := newPool(t, p, 1, 0)
	stored, err := pool.Hash(t.Context(), "correct horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	want, err := parse(stored)
	if err != nil {
		t.Fatal(err)
	}
	decoy, err := parse(pool.decoy)
	if err != nil || decoy.Parameters != p || len(decoy.salt) != len(want.salt) || len(decoy.key) != len(want.key) {
		t.Fatalf("the decoy is %s (%v), want it like %s", pool.decoy, err, stored)
	}
	verify := allocated(func() { _, _, err = pool.Verify(t.Context(), "wrong horse battery staple", stored) })
	nobody := allocated(func() { err = errors.Join(err, pool.VerifyNobody(t.Context(), "wrong horse battery staple")) })
	if least := uint64(p.Memory) << 10; err != nil || verify < least || nobody < least {
		t.Fatalf("Verify took %d bytes, VerifyNobody %d (%v), want %d or more for each", verify, nobody, err, least)
	}
}

// allocated is how many bytes f takes from the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestPoolCollectsBeforeItsSlotIsFree(t *testing.T) {
	for workers, every := range map[int]int{1: 1, 2: 2, 3: 2, 8: 4, 32: 12} {
		var pool *Pool
		collected := 0
		pool, err := NewPool(cheap, workers, 0, rand.Reader, func() {
			collected++
			if len(pool.slots) != 1 {
				t.Errorf("%d workers: %d slots are taken while the collector runs, want that of the ended hash", workers, len(pool.slots))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 * every {
			if err := pool.VerifyNobody(t.Context(), "x"); err != nil {
				t.Fatal(err)
			}
		}
		if collected != 3 {
			t.Errorf("%d workers: %d collections after %d hashes, want one for each %d", workers, collected, 3*every, every)
		}
	}
}

// Hashes of 19 MiB, several at a time, take no more than 1.5 times their memory and little else.
func TestHashesKeepToTheirMemory(t *testing.T) {
	const workers, hashes = 2, 12
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as in the program
	runtime.GC()
	before := heap()
	var most atomic.Uint64
	look := func() {
		for now, seen := heap(), most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
	}
	pool, err := NewPool(Recommended(), workers, hashes, rand.Reader, func() { look(); runtime.GC() })
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	for range hashes {
		group.Go(func() error {
			defer look()
			return pool.VerifyNobody(t.Context(), "wrong horse battery staple")
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	const one = 19 << 20
	if taken := most.Load() - before; taken < one || taken > workers*one*3/2+32<<20 {
		t.Fatalf("hashes took up to %d bytes of the heap, want %d or more and at most half as much again as %d and 32 MiB", taken, one, workers*one)
	}
}

// heap is how many bytes of the heap are taken, garbage included.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func TestPoolRefusesBeyondItsQueue(t *testing.T) { // R6
	pool := newPool(t, cheap, 1, 1)
	if err := pool.acquire(context.Background()); err != nil { // the only worker is busy
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	queued := make(chan error, 1)
	go func() { queued <- pool.VerifyNobody(ctx, "x") }()
	for pool.waiting.Load() == 0 {
		select {
		case err := <-queued:
			t.Fatalf("did not queue: %v", err)
		default:
		}
	}
	_, err := pool.Hash(context.Background(), "x")
	var e *apierr.Error
	if !errors.As(err, &e) || e.Kind != apierr.ResourceExhausted || e.RetryAfter <= 0 {
		t.Fatalf("beyond the queue: %v, want RESOURCE_EXHAUSTED with a time to come back", err)
	}
	cancel()
	if err := <-queued; !errors.Is(err, context.Canceled) {
		t.Fatalf("canceled in the queue: %v, want context.Canceled", err)
	}
	pool.release()
	if _, err := pool.Hash(context.Background(), "x"); err != nil {
		t.Fatalf("after the worker is free: %v", err)
	}
	if n := pool.waiting.Load(); n != 0 {
		t.Fatalf("%d still counted as waiting", n)
	}
}
