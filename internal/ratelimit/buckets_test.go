package ratelimit

import (
	"fmt"
	"testing"
	"time"
)

func at(seconds float64) time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

// taken counts how many tokens a key gets at one moment.
func taken(b *Buckets, key string, now time.Time) int {
	for n := 0; ; n++ {
		if b.Take(key, now) > 0 {
			return n
		}
	}
}

func TestBucketFillsAtItsRate(t *testing.T) {
	b := newBuckets(Rate{PerSecond: 10, Burst: 50}, 100, at(0))
	if n := taken(b, "a", at(100)); n != 50 {
		t.Errorf("burst %d, want 50", n)
	}
	if n := taken(b, "a", at(101)); n != 10 {
		t.Errorf("%d after a second, want 10", n)
	}
	if n := taken(b, "b", at(101)); n != 50 {
		t.Errorf("another key shares the bucket: %d", n)
	}
	if wait := b.Take("a", at(101)); wait != 100*time.Millisecond {
		t.Errorf("wait %s, want the 100 ms to the next token", wait)
	}
	if n := taken(b, "a", at(102)); n != 10 {
		t.Errorf("refused requests cost tokens: %d", n)
	}
}

// R55: a restart gives nobody a new budget: right after it, a bucket holds a tenth and fills from there.
func TestRestartIsStrict(t *testing.T) {
	b := newBuckets(Rate{PerSecond: 10, Burst: 50}, 100, at(0))
	if n := taken(b, "a", at(0)); n != 5 {
		t.Errorf("%d at the start, want 5", n)
	}
	if n := taken(b, "b", at(1)); n != 15 {
		t.Errorf("%d a second later, want 15", n)
	}
}

// A flood of strangers neither grows the memory nor refills the bucket that it pushes out.
func TestFloodIsBoundedAndStrict(t *testing.T) {
	b := newBuckets(Rate{PerSecond: 1, Burst: 50}, 100, at(0))
	if n := taken(b, "attacker", at(1000)); n != 50 {
		t.Fatalf("burst %d", n)
	}
	for i := range 1000 {
		b.Take(fmt.Sprint("stranger ", i), at(1001))
	}
	if len(b.byKey) != 100 || b.order.Len() != 100 {
		t.Errorf("%d buckets and %d in order, want 100", len(b.byKey), b.order.Len())
	}
	if n := taken(b, "attacker", at(1002)); n > 7 { // a tenth, and what a second or two fill
		t.Errorf("being forgotten gave the attacker %d tokens", n)
	}
	if n := taken(b, "attacker", at(1003)); n > 1 {
		t.Errorf("%d a second later", n)
	}
}
