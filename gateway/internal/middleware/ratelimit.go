package middleware

import (
	"container/list"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/rest"
)

// Rate is a budget: requests a second in the long run, and how many at once.
type Rate struct {
	PerSecond float64
	Burst     int
}

// remembered is how many clients of one kind have a bucket at a time: about 10 MB when full.
const remembered = 1 << 15

// limits makes the three limits of the chain.
type limits struct{ now func() time.Time }

func newLimits(now func() time.Time) limits { return limits{now: now} }

// byAddress limits every request, by client address. It stands before CORS, which answers
// preflights, and refuses through it, so that a page can read how long to wait.
func (l limits) byAddress(r Rate, cors step) step {
	return l.limit(r, func(x *exchange) string { return network(x.client) }, func(w http.ResponseWriter, r *http.Request, wait time.Duration) {
		r.Header.Del("Access-Control-Request-Method") // CORS would answer a preflight instead of handing it on
		cors(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tooMany(w, r, wait) })).ServeHTTP(w, r)
	})
}

// byCredential limits requests that take credentials without a token, by route and client address: a burst of one kind does not lock
// the client out of the others.
func (l limits) byCredential(r Rate) step {
	return l.limit(r, func(x *exchange) string {
		if !x.route.Credentials() {
			return ""
		}
		return x.route.Verb + " " + x.route.Pattern + " " + network(x.client)
	}, tooMany)
}

// bySubject limits authenticated requests, by the token's subject.
func (l limits) bySubject(r Rate) step {
	return l.limit(r, func(x *exchange) string { return x.subject }, tooMany)
}

// tooMany answers 429 with Retry-After.
func tooMany(w http.ResponseWriter, r *http.Request, wait time.Duration) {
	rest.Fail(w, r, apierr.New(apierr.ResourceExhausted, "RATE_LIMITED", "too many requests: wait as long as Retry-After says").WithRetryAfter(wait))
}

// limit refuses when the key's bucket is empty; an empty key is not limited.
func (l limits) limit(r Rate, key func(*exchange) string, refuse func(http.ResponseWriter, *http.Request, time.Duration)) step {
	buckets := newBuckets(r, remembered, l.now())
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if k := key(exchangeOf(r.Context())); k != "" {
				if wait := buckets.take(k, l.now()); wait > 0 {
					refuse(w, r, wait)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// network is what counts as one client: an IPv4 address, or an IPv6 /64, which one subscriber has to itself.
func network(addr netip.Addr) string {
	if addr.Is6() {
		if prefix, err := addr.WithZone("").Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return addr.String()
}

// buckets are token buckets by key, as many as fit: the least recently used is forgotten first.
//
// Forgetting must not refill a bucket, or a flood of strangers, or a restart, would give an attacker a new budget (R55). A key
// without a bucket was last used no later than floor, so its bucket starts as one that was emptied then, but for a tenth of the
// burst, which lets ordinary clients in right after a start.
type buckets struct {
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

func newBuckets(r Rate, size int, now time.Time) *buckets {
	return &buckets{rate: r, size: size, byKey: map[string]*list.Element{}, order: list.New(), floor: now}
}

// take takes one token; if there is none it says how long to wait for it.
func (b *buckets) take(key string, now time.Time) (wait time.Duration) {
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
func (b *buckets) add(key string) *list.Element {
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
