package grpcserver

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// metrics are those of go-grpc-middleware, by its names and labels. They are counted here by a
// stats handler: its interceptors neither see calls that fail before the request is decoded, nor
// those whose answer cannot be sent.
type metrics struct {
	started, handled, received, sent *prometheus.CounterVec
	handling                         *prometheus.HistogramVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	of := []string{"grpc_type", "grpc_service", "grpc_method"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		started:  counter("grpc_server_started_total", "Total number of RPCs started on the server.", of...),
		handled:  counter("grpc_server_handled_total", "Total number of RPCs completed on the server, regardless of success or failure.", append(of, "grpc_code")...),
		received: counter("grpc_server_msg_received_total", "Total number of RPC stream messages received on the server.", of...),
		sent:     counter("grpc_server_msg_sent_total", "Total number of gRPC stream messages sent by the server.", of...),
		handling: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "grpc_server_handling_seconds", Buckets: prometheus.DefBuckets,
			Help: "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
		}, of),
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.started, m.handled, m.received, m.sent, m.handling} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register gRPC metrics: %w", err)
		}
	}
	return m, nil
}

// counts are the metrics of one method, which exist from its first call on.
type counts struct {
	all                 *metrics
	kind, service, name string

	once                    sync.Once
	started, received, sent prometheus.Counter
	handling                prometheus.Observer
}

// of returns the metrics of a method by its full name.
func (m *metrics) of(method, kind string) *counts {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	return &counts{all: m, kind: kind, service: service, name: name}
}

func (c *counts) begin() {
	c.once.Do(func() {
		c.started = c.all.started.WithLabelValues(c.kind, c.service, c.name)
		c.received = c.all.received.WithLabelValues(c.kind, c.service, c.name)
		c.sent = c.all.sent.WithLabelValues(c.kind, c.service, c.name)
		c.handling = c.all.handling.WithLabelValues(c.kind, c.service, c.name)
	})
	c.started.Inc()
}

func (c *counts) end(code codes.Code, took time.Duration) {
	c.all.handled.WithLabelValues(c.kind, c.service, c.name, code.String()).Inc()
	c.handling.Observe(took.Seconds())
}

// kindOf is the type of a method as metrics name it.
func kindOf(d grpc.StreamDesc) string {
	switch {
	case d.ClientStreams && d.ServerStreams:
		return "bidi_stream"
	case d.ClientStreams:
		return "client_stream"
	case d.ServerStreams:
		return "server_stream"
	}
	return "unary"
}
