package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/loop"
	"github.com/gatehouse/gatehouse/internal/witness"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
)

// Times of asking witnesses. Each is asked by itself: a slow one holds up no other, and none holds
// up the log.
const (
	askEvery   = time.Second
	askTimeout = 25 * time.Second // four questions of 5 s, and what is read for them
)

// witnesses are the parts that ask them.
type witnesses fxmod.Parts

// newWitnesses asks each witness about every checkpoint that is the newest when it is its turn.
func newWitnesses(c Config, log *ledger.Service, registry prometheus.Registerer, logger *slog.Logger) (witnesses, error) {
	gauges, err := newWitnessGauges(registry)
	if err != nil {
		return nil, err
	}
	var parts witnesses
	for _, one := range c.Log.Witnesses {
		client, err := newWitness(one)
		if err != nil {
			return nil, err
		}
		cosigner := cosignerOf(client)
		ask := func(ctx context.Context) (ledger.Asked, error) { return log.Cosign(ctx, cosigner) }
		parts = append(parts, fxmod.Repeat(loop.Loop{
			Name: "ask the witness " + client.Name(), Every: askEvery, Timeout: askTimeout, Do: gauges.told(ask, logger),
		}, logger))
	}
	return parts, nil
}

// witnessGauges count witnesses.
type witnessGauges struct{ failing, disputing prometheus.Gauge }

func newWitnessGauges(registry prometheus.Registerer) (witnessGauges, error) {
	g := witnessGauges{
		failing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_audit_witnesses_failing", Help: "Witnesses of the log that did not cosign its newest checkpoint when this instance last asked them.",
		}),
		disputing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_audit_witnesses_disputing",
			Help: "Witnesses that say they have cosigned another tree than the log's, and show no checkpoint of it.",
		}),
	}
	for _, one := range []prometheus.Gauge{g.failing, g.disputing} {
		if err := registry.Register(one); err != nil {
			return g, fmt.Errorf("register the metrics of witnesses: %w", err)
		}
	}
	return g, nil
}

// told is asking one witness, again and again, with the gauges and the log told how it goes. A
// dispute is over when the witness has cosigned, and when the log was reopened: it was about the
// origin before. That nothing was asked says nothing.
func (g witnessGauges) told(ask func(context.Context) (ledger.Asked, error), logger *slog.Logger) func(context.Context) error {
	var failing, disputing bool
	var about int // number of the origin
	return func(ctx context.Context) error {
		asked, err := ask(ctx)
		count(g.failing, &failing, err != nil)
		if asked.Cosigned || asked.Number > 0 && asked.Number != about {
			count(g.disputing, &disputing, false)
		}
		var dispute *ledger.DisputeError
		if errors.As(err, &dispute) && !disputing {
			count(g.disputing, &disputing, true)
			about = asked.Number
			logger.ErrorContext(ctx, "a witness disputes the audit log, which was rewound or is not what the witness was asked about", "error", err.Error())
		}
		return err
	}
}

func count(g prometheus.Gauge, was *bool, is bool) {
	switch {
	case is && !*was:
		g.Inc()
	case *was && !is:
		g.Dec()
	}
	*was = is
}

// cosignerOf is a witness in the words of the domain.
func cosignerOf(client *witness.Client) ledger.Cosigner {
	return ledger.Cosigner{
		Name: client.Name(),
		Ask: func(ctx context.Context, checkpoint string, prove func(context.Context, int64) ([]tlog.Hash, error)) (ledger.Cosignature, error) {
			c, err := client.Cosign(ctx, []byte(checkpoint), prove)
			var conflict *witness.ConflictError
			if errors.As(err, &conflict) {
				return ledger.Cosignature{}, &ledger.ConflictError{Size: conflict.Size, Text: conflict.Error()}
			}
			return ledger.Cosignature{Witness: c.Witness, Line: c.Line}, err
		},
		Latest: func(ctx context.Context, origin string, verifiers []string) (ledger.Known, error) {
			shown, err := client.Latest(ctx, origin, verifiers)
			return ledger.Known{Origin: shown.Origin, Tree: tlog.Tree{N: shown.Size, Hash: shown.Root}, Note: string(shown.Note)}, err
		},
	}
}
