package password

import (
	"context"
	"crypto/rand"
	"errors"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

func nowhere(context.Context) string { return "" }

func newPool(t *testing.T, p Parameters, workers, queue int) *Pool {
	t.Helper()
	pool, err := NewPool(p, workers, queue, rand.Reader, nowhere)
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

// The time of a verification cannot be asserted, its causes can: that argon2id runs once, with
// which parameters, and over how many bytes.
func TestVerifyNobodyDoesTheWorkOfVerify(t *testing.T) { // R11
	p := Parameters{Memory: 8 << 10, Time: 3, Threads: 2}
	pool := newPool(t, p, 1, 0)
	stored, err := pool.Hash(t.Context(), "correct horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	type work struct {
		Parameters
		password, salt int
		length         uint32
	}
	var done []work
	pool.derive = func(p Parameters, password, salt []byte, length uint32) []byte {
		done = append(done, work{p, len(password), len(salt), length})
		return idKey(p, password, salt, length)
	}
	match, _, err := pool.Verify(t.Context(), "wrong horse battery staple", stored)
	if err := errors.Join(err, pool.VerifyNobody(t.Context(), "wrong horse battery staple")); err != nil || match {
		t.Fatal(match, err)
	}
	if want := (work{p, 26, saltLength, keyLength}); !slices.Equal(done, []work{want, want}) {
		t.Fatalf("Verify and VerifyNobody did %v, want twice %v", done, want)
	}
}

func TestPoolHashesAsTheRFC(t *testing.T) { // RFC 9106, as x/crypto tests it
	for _, p := range []Parameters{{64, 1, 1}, {64, 2, 3}, {1030, 3, 1}, Recommended()} {
		pool := newPool(t, p, 1, 0)
		for _, password := range []string{"", "correct horse battery staple", "correct horse battery staple"} {
			phc, err := pool.Hash(t.Context(), password)
			if err != nil {
				t.Fatal(err)
			}
			if match, err := verify(password, phc); !match || err != nil {
				t.Errorf("%+v: x/crypto does not verify %s: %v", p, phc, err)
			}
		}
	}
}

// One after the other, hashes of 19 MiB use the same memory. The race detector has sync.Pool forget
// every fourth.
func TestHashesUseTheirMemoryAgain(t *testing.T) {
	const hashes = 24
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which empties the pool
	pool := newPool(t, Recommended(), 1, 0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range hashes {
		if err := pool.VerifyNobody(t.Context(), "wrong horse battery staple"); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	const all = hashes * 19 << 20
	if took := after.TotalAlloc - before.TotalAlloc; took > all*3/4 {
		t.Fatalf("%d hashes took %d MiB of the heap, want less than three quarters of %d", hashes, took>>20, all>>20)
	}
}

func TestPoolRefusesBeyondItsQueue(t *testing.T) { // R6
	pool := newPool(t, cheap, 1, 1)
	if err := pool.queue.acquire(context.Background(), ""); err != nil { // the only worker is busy
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	queued := make(chan error, 1)
	go func() { queued <- pool.VerifyNobody(ctx, "x") }()
	for pool.queue.length() == 0 {
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
	pool.queue.release()
	if _, err := pool.Hash(context.Background(), "x"); err != nil {
		t.Fatalf("after the worker is free: %v", err)
	}
	if n := pool.queue.length(); n != 0 {
		t.Fatalf("%d still counted as waiting", n)
	}
}
