// Package ratelimit bounds how often somebody does something: token buckets by key, in bounded
// memory. The doors use it, and Auth counts failures by the same networks.
package ratelimit

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is a budget: requests a second in the long run, and how many at once.
type Rate struct {
	PerSecond float64
	Burst     int
}

// remembered is how many keys have a bucket at a time: about 10 MB when full.
const remembered = 1 << 15

// Network is what counts as one client: an IPv4 address, or an IPv6 /64, which one subscriber has
// to itself.
func Network(addr netip.Addr) string {
	if addr = addr.Unmap(); addr.Is6() {
		if prefix, err := addr.WithZone("").Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return addr.String()
}

// Buckets are token buckets by key, as many as fit: the least recently used is forgotten first.
//
// Forgetting must not refill a bucket, or a flood of strangers, or a restart, would give an
// attacker a new budget (R55). A key without a bucket was last used no later than floor, so its
// bucket starts as one that was emptied then, but for a tenth of the burst, which lets ordinary
// clients in right after a start.
type Buckets struct {
	rate  Rate
	size  int
	mu    sync.Mutex
	byKey map[string]*list.Element
	order *list.List // of *bucket, most recently used first
	floor time.Time  // the start, or the last use of the bucket forgotten last
}

type bucket struct {
	key     string
	limiter *rate.Limiter
	used    time.Time
}

// New makes the buckets of one kind of key; now is the time of the start.
func New(r Rate, now time.Time) *Buckets { return newBuckets(r, remembered, now) }

func newBuckets(r Rate, size int, now time.Time) *Buckets {
	return &Buckets{rate: r, size: size, byKey: map[string]*list.Element{}, order: list.New(), floor: now}
}

// Take takes one token; if there is none it says how long to wait for it.
func (b *Buckets) Take(key string, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	found, ok := b.byKey[key]
	if !ok {
		found = b.add(key)
	}
	b.order.MoveToFront(found)
	held, _ := found.Value.(*bucket)
	held.used = now
	b.mu.Unlock()
	reservation := held.limiter.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// add makes the bucket of a key, forgetting another if there is no room. Callers hold mu.
func (b *Buckets) add(key string) *list.Element {
	if b.order.Len() >= b.size {
		last := b.order.Back()
		forgotten, _ := b.order.Remove(last).(*bucket)
		delete(b.byKey, forgotten.key)
		if forgotten.used.After(b.floor) {
			b.floor = forgotten.used
		}
	}
	held := &bucket{key: key, limiter: rate.NewLimiter(rate.Limit(b.rate.PerSecond), b.rate.Burst)}
	grace := max(1, b.rate.Burst/10)
	held.limiter.AllowN(b.floor, b.rate.Burst-grace)
	b.byKey[key] = b.order.PushFront(held)
	return b.byKey[key]
}
