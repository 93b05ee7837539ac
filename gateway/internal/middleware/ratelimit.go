package middleware

import (
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/ratelimit"
	"github.com/gatehouse/gatehouse/internal/rest"
)

// Rate is a budget: requests a second in the long run, and how many at once.
type Rate = ratelimit.Rate

// limits makes the three limits of the chain.
type limits struct{ now func() time.Time }

func newLimits(now func() time.Time) limits { return limits{now: now} }

// byAddress limits every request, by client address: those to web exchanges of programs by a budget
// of their own, since one backend refreshes the tokens of thousands. It stands before CORS, which
// answers preflights, and refuses through it, so that a page can read how long to wait.
func (l limits) byAddress(r, programs Rate, cors step) step {
	refuse := func(w http.ResponseWriter, r *http.Request, wait time.Duration) {
		r.Header.Del("Access-Control-Request-Method") // CORS would answer a preflight instead of handing it on
		cors(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tooMany("clientip")(w, r, wait) })).ServeHTTP(w, r)
	}
	address := func(x *exchange) string { return ratelimit.Network(x.client) }
	all, apart := l.limit(r, address, refuse), l.limit(programs, address, refuse)
	return func(next http.Handler) http.Handler {
		ofAll, ofPrograms := all(next), apart(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if rest.VisitorsOf(r.Context()) == contract.ByPrograms {
				ofPrograms.ServeHTTP(w, r)
				return
			}
			ofAll.ServeHTTP(w, r)
		})
	}
}

// byCredential limits requests with which somebody could guess credentials, by route and client
// address: a burst of one kind does not lock the client out of the others.
func (l limits) byCredential(r Rate) step {
	return l.limit(r, func(x *exchange) string {
		if !x.route.Credentials() {
			return ""
		}
		return x.route.Verb + " " + x.route.Pattern + " " + ratelimit.Network(x.client)
	}, tooMany("clientip"))
}

// bySubject limits authenticated requests, by the token's subject.
func (l limits) bySubject(r Rate) step {
	return l.limit(r, func(x *exchange) string { return x.subject }, tooMany("user"))
}

// tooMany answers 429 with Retry-After. whose names what has the limit.
func tooMany(whose string) func(http.ResponseWriter, *http.Request, time.Duration) {
	return func(w http.ResponseWriter, r *http.Request, wait time.Duration) {
		rest.Fail(w, r, rest.TooMany(whose, wait))
	}
}

// limit refuses when the key's bucket is empty; an empty key is not limited.
func (l limits) limit(r Rate, key func(*exchange) string, refuse func(http.ResponseWriter, *http.Request, time.Duration)) step {
	buckets := ratelimit.New(r, l.now())
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if k := key(exchangeOf(r.Context())); k != "" {
				if wait := buckets.Take(k, l.now()); wait > 0 {
					refuse(w, r, wait)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}
