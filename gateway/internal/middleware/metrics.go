package middleware

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// observe counts and times requests by route and status. Labels are bounded: an unknown path is "none", an unknown verb "other".
func observe(registry prometheus.Registerer, now func() time.Time) (step, error) {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "gatehouse_http_request_duration_seconds",
		Help:    "Time from the request's header to its whole answer, by route, verb and status.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"route", "method", "status"})
	if err := registry.Register(durations); err != nil {
		return nil, fmt.Errorf("register request metrics: %w", err)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x, began := exchangeOf(r.Context()), now()
			defer func() {
				status := x.status
				if status == 0 {
					status = http.StatusInternalServerError
				}
				durations.WithLabelValues(x.pattern(), verb(r.Method), strconv.Itoa(status)).Observe(now().Sub(began).Seconds())
			}()
			next.ServeHTTP(w, r)
		})
	}, nil
}

func verb(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "other"
	}
}
