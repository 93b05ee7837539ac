package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/loop"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
)

// Times of the pass over the log.
const (
	passStepEvery   = 500 * time.Millisecond // a step is 4,096 events: 700 million a day, and the database is idle between two for whoever stores
	passStepTimeout = 30 * time.Second
	passLookEvery   = 10 * time.Second // how often the metrics are brought up to date
	passLookTimeout = 5 * time.Second
)

// passes are the parts that compare the stored events with the log, and tell what was found.
type passes fxmod.Parts

func newPasses(store *postgres.Log, keys ledger.Keys, registry prometheus.Registerer, log *slog.Logger) (passes, error) {
	g, err := newPassGauges(registry)
	if err != nil {
		return nil, err
	}
	return passes{
		fxmod.Repeat(loop.Loop{Name: "check the log", Every: passStepEvery, Timeout: passStepTimeout, Do: ledger.NewChecker(store, keys, log).Step}, log),
		fxmod.Repeat(loop.Loop{Name: "look at the pass over the log", Every: passLookEvery, Timeout: passLookTimeout, Do: g.look(store)}, log),
	}, nil
}

// passGauges have no values until something is known.
type passGauges struct{ ended, differences, unknown *prometheus.GaugeVec }

func newPassGauges(registry prometheus.Registerer) (passGauges, error) {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, nil)
	}
	g := passGauges{
		ended: gauge("gatehouse_audit_log_checked_timestamp_seconds",
			"When the last complete pass over the log ended, of any instance, in seconds since 1970."),
		differences: gauge("gatehouse_audit_log_differences",
			"Differences between what is stored and what was signed that the last complete pass, or the one under way, has found."),
		unknown: gauge("gatehouse_audit_log_unknown",
			"Positions without an event of which the last complete pass could not know whether retention had removed it."),
	}
	for _, one := range []*prometheus.GaugeVec{g.ended, g.differences, g.unknown} {
		if err := registry.Register(one); err != nil {
			return g, fmt.Errorf("register the metrics of the pass over the log: %w", err)
		}
	}
	return g, nil
}

func (g passGauges) look(store *postgres.Log) func(context.Context) error {
	return func(ctx context.Context) error {
		s, err := store.LastPass(ctx)
		if err == nil {
			g.ended.WithLabelValues().Set(float64(s.Ended.Unix()))
			g.differences.WithLabelValues().Set(float64(s.Differences))
			g.unknown.WithLabelValues().Set(float64(s.Unknown))
		}
		return err
	}
}
