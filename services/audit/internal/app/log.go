package app

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
)

// newSequencer grows the log, and tells how large it is and how far behind.
func newSequencer(c Config, store *postgres.Log, keys ledger.Keys, registry prometheus.Registerer) (*ledger.Sequencer, error) {
	name, err := c.platform()
	if err != nil {
		return nil, fmt.Errorf("name the log: %w", err)
	}
	known, err := c.Log.known(keys)
	if err != nil {
		return nil, err
	}
	s := ledger.NewSequencer(store, keys, name)
	s.Remember(known)
	for _, g := range []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatehouse_audit_log_size", Help: "Events that the newest checkpoint of the log covers.",
		}, func() float64 { return float64(s.Size()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatehouse_audit_log_lag", Help: "Events that are stored and that no checkpoint of the log covers yet.",
		}, func() float64 { return float64(s.Lag()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatehouse_audit_log_stopped", Help: "1 while the log signs no checkpoints because it was rewound or is damaged, else 0.",
		}, func() float64 {
			if s.Stopped() {
				return 1
			}
			return 0
		}),
	} {
		if err := registry.Register(g); err != nil {
			return nil, fmt.Errorf("register the metrics of the log: %w", err)
		}
	}
	return s, nil
}
