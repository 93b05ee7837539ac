// Package app wires Authz: its configuration, and which constructors make the program. cmd/authz
// runs it.
package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/fxmod/service"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/loop"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/services/authz/internal/api"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// Name is the mesh name of the program.
const Name = "authz"

// Times of the background work.
const (
	completeEvery   = time.Second // how often an instance looks for changes that another one left behind
	completeTimeout = time.Minute // of one look, with the changes it completes
	forgetEvery     = 10 * time.Minute
	loadEvery       = 250 * time.Millisecond // how often the model is looked for, until it is there
	loadTimeout     = 10 * time.Second
)

// New returns the app of `authz serve`.
func New(c Config) *fx.App { return fxmod.New(options(c)) }

// Run is `authz serve`: it serves until the process is told to stop.
func (c *Config) Run() error { return fxmod.Run(New(*c)) }

// options is everything the program consists of.
func options(c Config) fx.Option {
	return fx.Options(
		service.Postgres(c.Postgres, migrations.Schema, migrations.Files),
		fx.Supply(c.Postgres, c.Engine),
		fx.Provide(
			newEngine,
			newCommands,
			newRelations,
			fx.Annotate(newPermissions, fx.As(new(access.Permissions))),
			newAuthzService,
			newRelationshipService,
			newWork,
		),
		service.AsRegistration(func(s *api.AuthzService) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authzv1.AuthzService_ServiceDesc, Impl: s}
		}),
		service.AsRegistration(func(s *api.RelationshipService) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authzv1.RelationshipService_ServiceDesc, Impl: s, REST: authzv1.RegisterRelationshipServiceHandler}
		}),
		fxmod.AsCheck(func(e *fga.Engine) health.Check { return health.Check{Name: "relationships", Func: e.Ready} }),
		fxmod.AsCheck(func(pool *pgxpool.Pool) health.Check {
			return health.Check{Name: "fence", Func: func(ctx context.Context) error { return postgres.CheckFence(ctx, pool) }}
		}),
		service.Outbox(migrations.Schema),
		service.RemoteAudit(),
		fxmod.RemoteTokens(),
		service.Module(Name, c.Kernel),
	)
}

// newEngine opens the engine, whose connections are fenced: a write cannot land after its command
// has ended.
func newEngine(c pg.Config, e EngineConfig, log *slog.Logger) (*fga.Engine, error) {
	return fga.Open(context.Background(), fga.Params{
		URL: c.URL, MaxConns: e.MaxConns, MaxConnLifetime: c.MaxConnLifetime, ConnectTimeout: c.ConnectTimeout, Log: log,
		Tune: postgres.Fence,
	})
}

func newCommands(pool *pgxpool.Pool, o *outbox.Outbox) *postgres.Commands {
	return postgres.NewCommands(postgres.Params{Pool: pool, Outbox: o, Lease: relationship.Lease})
}

func newRelations(store *postgres.Commands, e *fga.Engine, now func() time.Time) *relationship.Service {
	return relationship.NewService(relationship.Params{Store: store, Engine: e, Now: now, NewID: newID, Random: rand.Reader})
}

func newPermissions(r *relationship.Service, e *fga.Engine) *api.Permissions {
	return api.NewPermissions(r, e)
}

func newAuthzService(r *relationship.Service, store *postgres.Commands, e *fga.Engine, d *mesh.Definition, now func() time.Time) *api.AuthzService {
	return api.NewAuthzService(api.AuthzParams{
		Relations: r, Engine: e, Policy: d, Watching: relationship.NewWatching(store, relationship.LookEvery),
		Cursors: cursor.NewTexts(store, relationship.KeepChanges, now),
	})
}

func newRelationshipService(r *relationship.Service, e *fga.Engine) *api.RelationshipService {
	return api.NewRelationshipService(r, e, newID)
}

// newID makes UUIDs of version 7, which sort by their time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// newWork is what runs beside the requests, and the engine below all of it.
func newWork(relations *relationship.Service, engine *fga.Engine, log *slog.Logger) service.Work {
	load := loop.Loop{Name: "load the authorization model", Every: loadEvery, Timeout: loadTimeout, Do: engine.Load}
	forget := loop.Loop{Name: "forget old changes", Every: forgetEvery, Timeout: time.Minute, Do: relations.Forget}
	return service.Work{Beside: fxmod.Parts{
		closing(engine),         // stops last: the others write through its connections
		fxmod.Repeat(load, log), // before the others, which need the model
		fxmod.Background("watch for fresh relationships", relations.Watch), // before the completer, whose changes it sees
		fxmod.Repeat(completer(relations, log), log),                       // before the engine stops: it completes a change whole
		fxmod.Repeat(forget, log),                                          // its place is free
	}}
}

func closing(engine *fga.Engine) fxmod.Part {
	return fxmod.Part{Name: "the engine's connections", Stop: func(context.Context) error {
		engine.Close()
		return nil
	}}
}

// completer applies changes whose instance died or was stopped. Every instance runs one; claims
// keep them from each other's work.
func completer(relations *relationship.Service, log *slog.Logger) loop.Loop {
	return loop.Loop{
		Name: "complete abandoned changes", Every: completeEvery, Timeout: completeTimeout,
		Do: func(ctx context.Context) error {
			completed, err := relations.CompleteAbandoned(ctx)
			if completed > 0 {
				log.InfoContext(ctx, "completed abandoned changes of relationships", "changes", completed)
			}
			return err
		},
	}
}

// Migrate is `authz migrate`: it brings both schemas to this program's version, writes the
// authorization model, fences what writes relationships and fixes those that an older version
// wrote.
func Migrate(ctx context.Context, c MigrateConfig) error {
	log := logging.New(c.Kernel.Log, os.Stderr).With("program", Name)
	if err := pg.Migrate(ctx, c.Postgres, migrations.Schema, migrations.Files, log); err != nil {
		return err
	}
	if err := fga.Migrate(ctx, c.Postgres, log); err != nil {
		return fmt.Errorf("migrate the relationship engine: %w", err)
	}
	if err := postgres.MigrateFence(ctx, c.Postgres, log); err != nil {
		return err
	}
	if err := respell(ctx, c.Postgres, log); err != nil {
		return fmt.Errorf("give ids in relationships their one form: %w", err)
	}
	return nil
}

// Run is Migrate for the command line.
func (c *MigrateConfig) Run() error { return Migrate(context.Background(), *c) }
