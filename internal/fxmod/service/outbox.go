package service

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/auditing"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/refusals"
)

// outboxParams are what the outbox of a service is made of.
type outboxParams struct {
	fx.In

	Pool    *pgxpool.Pool
	Program fxmod.Program
	Now     func() time.Time
	Log     *slog.Logger
}

// relayParams are what its relay is made of.
type relayParams struct {
	fx.In

	Outbox   *outbox.Outbox
	Refusals *refusals.Recorder
	Routes   []outbox.Route `group:"outbox"`
	Registry prometheus.Registerer
}

// Outbox provides *outbox.Outbox over the tables of a schema, what records refusals in it as
// auditing.Refusals, and the relay over the routes of the group "outbox". It needs Postgres and
// Program.
func Outbox(schema string) fx.Option {
	return fx.Options(
		fx.Provide(
			func(p outboxParams) (*outbox.Outbox, error) {
				return outbox.New(outbox.Params{
					Pool: p.Pool, Schema: schema, Source: p.Program.Name, Now: p.Now, NewID: newEventID, Random: rand.Reader, Log: p.Log,
				})
			},
			refusals.New,
			func(r *refusals.Recorder) auditing.Refusals { return r },
		),
		fx.Provide(func(p relayParams) (*outbox.Relay, error) {
			relay, err := outbox.NewRelay(outbox.RelayParams{
				Outbox: p.Outbox, Routes: p.Routes, Registry: p.Registry, Housekeeping: p.Refusals.Flush,
			})
			if err != nil {
				return nil, fmt.Errorf("outbox of schema %s: %w", schema, err)
			}
			return relay, nil
		}),
		fxmod.AsCheck(func(r *outbox.Relay) health.Check { return health.Check{Name: "outbox", Func: r.Ready} }),
	)
}

// AsRoute makes a constructor of an outbox.Route feed the relay.
func AsRoute(constructor any) fx.Option {
	return fx.Provide(fx.Annotate(constructor, fx.ResultTags(`group:"outbox"`)))
}

// newEventID makes UUIDs of version 7: sorted by time, they keep an index together.
func newEventID() string { return uuid.Must(uuid.NewV7()).String() }
