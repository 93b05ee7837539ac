package middleware

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/rest"
)

// streamPause is when a refused stream may be tried again: one ends when its client or its token does, which nobody foresees.
const streamPause = 5 * time.Second

// openStreams counts the long-lived requests that are being answered.
type openStreams struct {
	all, each int // limits
	mu        sync.Mutex
	total     int
	bySubject map[string]int
}

// limitStreams bounds how many long-lived requests are open at once: those of one subject (429), so that one user does not take the
// places of the others, and those of all (503), because each holds memory here and in four sidecars.
func limitStreams(registry prometheus.Registerer, all, each int) (step, error) {
	open := &openStreams{all: all, each: each, bySubject: map[string]int{}}
	if err := registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatehouse_http_streams", Help: "Long-lived requests that are open.",
	}, func() float64 { return float64(open.count()) })); err != nil {
		return nil, fmt.Errorf("register stream metrics: %w", err)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := exchangeOf(r.Context())
			if x.route.Method == nil || !x.route.Method.LongLived {
				next.ServeHTTP(w, r)
				return
			}
			if err := open.enter(x.subject); err != nil {
				rest.Fail(w, r, err)
				return
			}
			defer open.leave(x.subject)
			next.ServeHTTP(w, r)
		})
	}, nil
}

func (o *openStreams) enter(subject string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.bySubject[subject] >= o.each:
		return apierr.TooManyStreams().About("user").WithRetryAfter(streamPause)
	case o.total >= o.all:
		return apierr.AllStreamsTaken().WithRetryAfter(streamPause)
	}
	o.total++
	o.bySubject[subject]++
	return nil
}

func (o *openStreams) leave(subject string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.total--
	if o.bySubject[subject]--; o.bySubject[subject] == 0 {
		delete(o.bySubject, subject)
	}
}

func (o *openStreams) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.total
}
