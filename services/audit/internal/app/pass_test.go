package app

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// The metrics tell of a difference as soon as it is found, not only when the pass has ended.
func TestMetricsTellWhatAPassFinds(t *testing.T) {
	serving, owner := pgtest.Split(t, migrations.Schema, migrations.Files)
	pool := pgtest.Open(t, serving)
	keys, err := KeysConfig{File: keyFile(t, 1)}.open()
	check.NoError(t, err)
	store := postgres.NewLog(pool)
	registry := prometheus.NewRegistry()
	g, err := newPassGauges(registry)
	check.NoError(t, err)
	trailtest.Fill(t, postgres.NewEvents(pool), 300)
	check.NoError(t, ledger.NewSequencer(store, keys, "id.example.com").Grow(t.Context()))
	pgtest.Exec(t, owner, "delete from audit.events where position = 7", "update audit.log_pass set ended = to_timestamp(1000), unknown_until = 1")
	checker := ledger.NewChecker(store, keys, slog.New(slog.DiscardHandler))
	for step, ended := range []bool{false, true} {
		check.NoError(t, checker.Step(t.Context()))
		check.NoError(t, g.look(store)(t.Context()))
		if got := value(t, registry, "gatehouse_audit_log_differences"); got != 1 {
			t.Errorf("after step %d there are %v differences", step, got)
		}
		if got := value(t, registry, "gatehouse_audit_log_checked_timestamp_seconds"); (got > 1000) != ended {
			t.Errorf("after step %d a pass has ended at %v", step, got)
		}
	}
	pgtest.Exec(t, owner, "delete from audit.events where position = 1", "update audit.log_pass set started = '-infinity'")
	for range 2 {
		check.NoError(t, checker.Step(t.Context()))
	}
	check.NoError(t, g.look(store)(t.Context()))
	if got := value(t, registry, "gatehouse_audit_log_unknown"); got != 1 {
		t.Errorf("%v positions are unknown", got)
	}
}

// value is that of a gauge without labels.
func value(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	check.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("%s has no value", name)
	return 0
}
