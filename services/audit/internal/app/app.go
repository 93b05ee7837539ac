// Package app wires Audit: its configuration, and which constructors make the program. cmd/audit
// runs it.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/fxmod/service"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/loop"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/api"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Name is the mesh name of the program.
const Name = "audit"

// Times of the background work.
const (
	readEvery     = time.Second           // how often the feed looks by itself; it is woken for what is stored
	readTimeout   = 10 * time.Second      // of one look
	notifyEvery   = 10 * time.Second      // how often other instances are told even when nothing was stored
	notifyRest    = 20 * time.Millisecond // between two: each is a transaction beside those that store
	notifyTimeout = 2 * time.Second
	growEvery     = 400 * time.Millisecond // how often stored events are taken into the log; a checkpoint is at most 1 s behind
	growTimeout   = time.Minute            // of all turns at a time
	namesEvery    = 500 * time.Millisecond // how often the names of what was stored are brought in
	namesTimeout  = time.Minute            // of one look; the next goes on
)

// New returns the app of `audit serve`.
func New(c Config) *fx.App { return fxmod.New(options(c)) }

// Run is `audit serve`: it serves until the process is told to stop.
func (c *Config) Run() error { return fxmod.Run(New(*c)) }

// options is everything the program consists of.
func options(c Config) fx.Option {
	return fx.Options(
		service.Postgres(c.Postgres, migrations.Schema, migrations.Files),
		fxmod.AsCheck(func(pool *pgxpool.Pool) health.Check {
			return health.Check{Name: "append-only", Func: func(ctx context.Context) error { return postgres.CheckAppendOnly(ctx, pool) }}
		}),
		fxmod.AsCheck(func(store *postgres.Events) health.Check {
			return health.Check{Name: "append", Func: store.CheckAppend}
		}),
		fx.Provide(
			newEvents,
			postgres.NewLog,
			c.Keys.open,
			newFeed,
			newWriter,
			newTrail,
			func(store *postgres.Log, keys ledger.Keys, registry prometheus.Registerer) (*ledger.Sequencer, error) {
				return newSequencer(c, store, keys, registry)
			},
			func(store *postgres.Log, box *outbox.Outbox, keys ledger.Keys) *ledger.Service {
				return ledger.NewService(store.WithOutbox(box), keys)
			},
			func(s *ledger.Service, registry prometheus.Registerer, log *slog.Logger) (witnesses, error) {
				return newWitnesses(c, s, registry, log)
			},
			newPasses,
			newOthers,
			newKeptGauge,
			newWork,
			api.NewLogService,
			api.NewIngestService,
			func(t *trail.Service, store *postgres.Events) *api.AuditService { return api.NewAuditService(t, store) },
		),
		service.AsRegistration(func(s *api.IngestService) grpcserver.Registration {
			return grpcserver.Registration{Desc: &auditv1.IngestService_ServiceDesc, Impl: s}
		}),
		service.AsRegistration(func(s *api.AuditService) grpcserver.Registration {
			return grpcserver.Registration{Desc: &auditv1.AuditService_ServiceDesc, Impl: s, REST: auditv1.RegisterAuditServiceHandler}
		}),
		service.AsRegistration(func(s *api.LogService) grpcserver.Registration {
			return grpcserver.Registration{Desc: &auditv1.LogService_ServiceDesc, Impl: s, REST: auditv1.RegisterLogServiceHandler}
		}),
		service.AsRoute(func(w *trail.Writer) outbox.Route { return outbox.Route{Topic: audit.Topic, Deliver: own(w)} }),
		service.Outbox(migrations.Schema),
		service.RemotePermissions(),
		service.RemoteChanges(),
		fxmod.RemoteTokens(),
		service.Module(Name, c.Kernel),
	)
}

// newEvents is the trail. What is stored there and is no event is told by a metric and the log.
func newEvents(pool *pgxpool.Pool, registry prometheus.Registerer, log *slog.Logger) (*postgres.Events, error) {
	damaged := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "gatehouse_audit_damaged_reads_total", Help: "Events that were read for a list or a tail, and whose stored bytes are no event.",
	})
	if err := registry.Register(damaged); err != nil {
		return nil, fmt.Errorf("register the metric of damaged events: %w", err)
	}
	return postgres.NewEvents(pool).Telling(func(ctx context.Context, found []postgres.Damage) {
		damaged.Add(float64(len(found)))
		log.ErrorContext(ctx, "an event of the trail is damaged", "position", found[0].Position, "error", found[0].Err.Error(), "damaged", len(found))
	}), nil
}

// newFeed reads what is stored, by this instance and by others, for whoever tails.
func newFeed(store *postgres.Events) *trail.Feed { return trail.NewFeed(store) }

// others is woken when other instances are to be told that something was stored.
type others chan struct{}

func newOthers() others { return make(others, 1) }

// memoryLimit is the soft memory limit of the Go runtime, in bytes. Ten thousand open tails hold
// 270 MB; without a limit the collector would let as much again become garbage before it runs.
const memoryLimit = 340 << 20

// gcPercent is GOGC: an instance that only stores has a few MB of live heap, and would spend a fifth of
// its time with collecting. The limit bounds it.
const gcPercent = 400

// newWork is what stores the events and tells of them.
func newWork(store *postgres.Events, feed *trail.Feed, writer *trail.Writer, s *ledger.Sequencer, o others, kept keptGauge, asked witnesses, checked passes, log *slog.Logger) service.Work {
	grow := loop.Loop{Name: "grow the log", Every: growEvery, Timeout: growTimeout, Do: s.Grow}
	read := loop.Loop{Name: "read the trail", Every: readEvery, Wake: feed.Woken(), Timeout: readTimeout, Do: feed.Read}
	tell := loop.Loop{Name: "tell other instances", Every: notifyEvery, Wake: o, Rest: notifyRest, Timeout: notifyTimeout, Do: store.Notify}
	look := loop.Loop{Name: "look when the trail was kept", Every: keptEvery, Timeout: keptTimeout, Do: kept.look(store)}
	names := loop.Loop{Name: "bring names in", Every: namesEvery, Timeout: namesTimeout, Do: store.BringNames}
	return service.Work{Receiving: slices.Concat(fxmod.Parts(asked), fxmod.Parts(checked), fxmod.Parts{
		fxmod.MemoryLimit(memoryLimit),
		fxmod.GCPercent(gcPercent),
		fxmod.Background("listen to other instances", func(ctx context.Context) { store.Listen(ctx, feed.Wake) }), // wakes the next
		fxmod.Repeat(read, log), // before the writer: what it stores is read at once
		fxmod.Repeat(tell, log), // before the writer: what it stores last is still told, or others look by themselves
		fxmod.Repeat(look, log),
		fxmod.Repeat(grow, log),
		fxmod.Repeat(names, log),
		fxmod.Background("the writer", writer.Run), // last: it wakes the others
	})}
}

// newWriter stores what is handed over, and wakes whoever tells the feeds of this instance and of
// others.
func newWriter(store *postgres.Events, feed *trail.Feed, o others, registry prometheus.Registerer) (*trail.Writer, error) {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatehouse_audit_events_total", Help: "Events that were handed over, by what became of them.",
	}, []string{"verdict"})
	if err := registry.Register(events); err != nil {
		return nil, fmt.Errorf("register the metric of stored events: %w", err)
	}
	return trail.NewWriter(store, func(verdicts []trail.Verdict) {
		for _, v := range verdicts {
			events.WithLabelValues(v.String()).Inc()
		}
		feed.Wake()
		select {
		case o <- struct{}{}:
		default: // they will be told already
		}
	}), nil
}

func newTrail(store *postgres.Events, feed *trail.Feed) *trail.Service {
	return trail.NewService(trail.Params{Lister: store, Reader: store, Feed: feed})
}

// monthsPatience is how long `audit migrate` tries to make months, on which a start waits.
const monthsPatience = 30 * time.Second

// Migrate is `audit migrate`: it brings the schema to this program's version, and makes the months
// of the trail that are due. It signs in as the schema's owner, because the role that serves cannot
// change a table.
func Migrate(ctx context.Context, c MigrateConfig) error {
	log := logging.New(c.Kernel.Log, os.Stderr).With("program", Name)
	if err := pg.Migrate(ctx, c.Postgres, migrations.Schema, migrations.Files, log); err != nil {
		return err
	}
	return makeMonths(ctx, c.Postgres, log, monthsPatience)
}

// makeMonths makes the months that are due. No program waits for them to start: they are needed in
// three months, `audit keep` goes on with them, and events_later has what happens until then.
func makeMonths(ctx context.Context, c pg.Config, log *slog.Logger, patience time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := pg.Locked(limited, c, migrations.Schema, log, func(conn *pgx.Conn) error {
		_, err := postgres.ExtendMonths(limited, conn, time.Now(), log)
		return err
	})
	if err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "months of the trail are not made now: `audit keep` goes on with them", "error", err.Error())
		return nil
	}
	return err
}

// Run is Migrate for the command line.
func (c *MigrateConfig) Run() error { return Migrate(context.Background(), *c) }
