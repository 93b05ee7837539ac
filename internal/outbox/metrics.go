package outbox

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the outbox. Only the leading instance has the gauges, so that their sum over instances is right.
type metrics struct {
	lag, pending, parked *prometheus.GaugeVec
	delivered, poisoned  *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gatehouse_outbox_" + name, Help: help}, []string{"topic"})
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_outbox_" + name, Help: help}, []string{"topic"})
	}
	m := &metrics{
		lag:       gauge("lag_seconds", "Age of the oldest message that waits for its delivery."),
		pending:   gauge("pending", "Messages that wait for their delivery."),
		parked:    gauge("parked", "Messages that their receiver will never accept."),
		delivered: counter("delivered_total", "Messages delivered, repeats included."),
		poisoned:  counter("poison_total", "Messages parked because their receiver will never accept them."),
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.lag, m.pending, m.parked, m.delivered, m.poisoned} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the outbox: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) deliver(topic string, n int) { m.delivered.WithLabelValues(topic).Add(float64(n)) }

func (m *metrics) poison(topic string) { m.poisoned.WithLabelValues(topic).Inc() }

// forget removes the gauges: another instance leads now.
func (m *metrics) forget() {
	m.lag.Reset()
	m.pending.Reset()
	m.parked.Reset()
}

const statsSQL = `
	select topic, count(*) filter (where park_time is null), count(*) filter (where park_time is not null),
		coalesce(extract(epoch from clock_timestamp() - min(create_time) filter (where park_time is null)), 0)::float8
	from {schema}.outbox group by topic`

// measure sets the gauges. A topic without a row has them at 0; one without a route shows what nobody delivers.
func (r *Relay) measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, queryLimit)
	defer cancel()
	rows, err := r.Pool.Query(ctx, r.sql.stats)
	if err != nil {
		return fmt.Errorf("measure the outbox: %w", err)
	}
	type topicStats struct{ pending, parked, lag float64 }
	found := map[string]topicStats{}
	for _, route := range r.routes {
		found[route.Topic] = topicStats{}
	}
	var topic string
	var pending, parked int64
	var lag float64
	_, err = pgx.ForEachRow(rows, []any{&topic, &pending, &parked, &lag}, func() error {
		found[topic] = topicStats{pending: float64(pending), parked: float64(parked), lag: max(lag, 0)}
		return nil
	})
	if err != nil {
		return fmt.Errorf("measure the outbox: %w", err)
	}
	for topic, s := range found {
		r.metrics.pending.WithLabelValues(topic).Set(s.pending)
		r.metrics.parked.WithLabelValues(topic).Set(s.parked)
		r.metrics.lag.WithLabelValues(topic).Set(s.lag)
	}
	return nil
}

// cut shortens a text for the database.
func cut(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(printable, s)
}
