package outbox

import (
	"context"
	"fmt"

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
		pending:   gauge("pending", "Messages that wait for their delivery, counted up to 10,000."),
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

// maxPending bounds what counting costs while a receiver is away for long.
const maxPending = 10_000

// statsSQL looks each topic up in the indexes: with many rows waiting, reading all of them every few seconds would add to the trouble.
const statsSQL = `
	with recursive topics (topic) as (
		select min(topic) from {schema}.outbox
		union all
		select (select min(o.topic) from {schema}.outbox as o where o.topic > topics.topic) from topics where topics.topic is not null)
	select topic,
		(select count(*) from (
			select from {schema}.outbox as o where o.topic = topics.topic and park_time is null order by position limit @most) as waiting),
		(select count(*) from {schema}.outbox as o where o.topic = topics.topic and park_time is not null),
		coalesce((select extract(epoch from clock_timestamp() - create_time) from {schema}.outbox as o
			where o.topic = topics.topic and park_time is null order by position limit 1), 0)::float8
	from topics where topic is not null`

// measure sets the gauges. A topic without a row has them at 0; one without a route shows what nobody delivers.
func (r *Relay) measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, queryLimit)
	defer cancel()
	rows, err := r.Pool.Query(ctx, r.sql.stats, pgx.StrictNamedArgs{"most": maxPending})
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
