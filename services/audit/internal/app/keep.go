package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/loop"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
)

// Times of `audit keep`: it looks each minute whether a run is due, and a run may take long.
const (
	lookEvery  = time.Minute
	runTimeout = 6 * time.Hour
)

// KeepConfig is everything that `audit keep` can be told. As with all verbs but serve, its database
// URL is that of the schema's owner.
type KeepConfig struct {
	Kernel   fxmod.Config  `embed:""`
	Postgres pg.Config     `embed:""`
	Every    time.Duration `help:"Run so long after the last run of any instance." default:"24h"`
	Once     bool          `help:"Run now and end."`
}

// Run is `audit keep`: it makes the months of the trail ahead and removes the events whose
// retention is over, every day until it is told to stop, or once.
func (c *KeepConfig) Run(p program.Process) error {
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer release()
	log := logging.New(c.Kernel.Log, os.Stderr).With("program", Name)
	if c.Every <= 0 {
		return fmt.Errorf("--every is %s: give a duration such as 24h", c.Every)
	}
	if !c.Once {
		c.stay(ctx, log)
		return nil
	}
	return owning(ctx, c.Postgres, log, func(u *postgres.Upkeep) error {
		done, err := u.Keep(ctx, time.Now())
		if err == nil {
			err = sayf(p.Stdout, "%s\n", keptWords(done))
		}
		return err
	})
}

// keptWords says what a run did.
func keptWords(done postgres.Kept) string {
	whole := "no month is dropped as a whole"
	if len(done.Months) > 0 {
		whole = "dropped as a whole: " + strings.Join(done.Months, ", ")
	}
	return fmt.Sprintf("%d events and %d personal values are removed; %s; %d months are made", done.Events, done.PersonalValues, whole, done.Made)
}

// stay runs whenever it is due, until ctx ends. Instances share the time of the last run.
func (c *KeepConfig) stay(ctx context.Context, log *slog.Logger) {
	now := make(chan struct{}, 1)
	now <- struct{}{} // the first look
	loop.Loop{Name: "keep the trail", Every: lookEvery, Wake: now, Timeout: runTimeout, Do: func(ctx context.Context) error {
		return owning(ctx, c.Postgres, log, func(u *postgres.Upkeep) error {
			due, err := u.Due(ctx, c.Every)
			if err != nil || !due {
				return err
			}
			done, err := u.Keep(ctx, time.Now())
			if err == nil {
				log.InfoContext(ctx, "the trail is kept", "events", done.Events, "personal_values", done.PersonalValues, "dropped", done.Months, "made", done.Made)
			}
			return err
		})
	}}.Run(ctx, log)
}

// owning runs fn with what the owner of the schema may do. Events are delivered by whoever serves.
func owning(ctx context.Context, c pg.Config, log *slog.Logger, fn func(*postgres.Upkeep) error) error {
	c.MaxConns = 2 // one after the other; an instance that serves has its share of the role's limit too
	pool, err := pg.Open(ctx, c)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pg.CheckSchema(ctx, pool, migrations.Schema, migrations.Files); err != nil {
		return err
	}
	box, err := outbox.New(outbox.Params{
		Pool: pool, Schema: migrations.Schema, Source: Name, Now: time.Now, NewID: func() string { return uuid.Must(uuid.NewV7()).String() },
		Random: rand.Reader, Log: log,
	})
	if err != nil {
		return err
	}
	return fn(postgres.NewUpkeep(box, log))
}

// Times of looking when the trail was kept, for the metric.
const (
	keptEvery   = 10 * time.Second
	keptTimeout = 5 * time.Second
)

// keptGauge has no value until it is known: an alert compares it with the time.
type keptGauge struct{ *prometheus.GaugeVec }

func newKeptGauge(registry prometheus.Registerer) (keptGauge, error) {
	g := keptGauge{prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "gatehouse_audit_kept_timestamp_seconds", Help: "When `audit keep` ended last on the trail that this instance serves, in seconds since 1970.",
	}, nil)}
	if err := registry.Register(g); err != nil {
		return g, fmt.Errorf("register the metric of when the trail was kept: %w", err)
	}
	return g, nil
}

func (g keptGauge) look(store *postgres.Events) func(context.Context) error {
	return func(ctx context.Context) error {
		last, err := store.LastKept(ctx)
		if err == nil {
			g.WithLabelValues().Set(float64(last.Unix()))
		}
		return err
	}
}

// sayf tells the operator.
func sayf(w io.Writer, format string, args ...any) error {
	if _, err := fmt.Fprintf(w, format, args...); err != nil {
		return fmt.Errorf("print what was done: %w", err)
	}
	return nil
}
